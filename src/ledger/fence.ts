import { RowfleetError } from '../errors.ts';
import { sqlState } from '../pg/errors.ts';
import type { Session } from '../pg/session.ts';
import { sqlStates } from '../pg/sql-states.ts';
import type { ClaimedTask } from './claim.ts';
import { isOfCancelledFlow } from './flows.ts';
import type { Queryable } from './ledger.ts';
import { holdPlan } from './revisions.ts';

/** An attempt found that it is not the task's attempt any more: its work is rolled back, nothing else happens. */
export class StaleAttempt extends Error {
  constructor(taskId: string) {
    super(`task ${taskId} was taken over by another attempt`);
    this.name = 'StaleAttempt';
  }
}

/** The task cannot go on for the moment: somebody else has its row locked, or other tasks come first. */
export class TaskLocked extends RowfleetError {
  constructor(taskId: string, reason = 'its row in the ledger is locked by another session') {
    super('TASK_LOCKED', `task ${taskId} has to wait: ${reason}`);
    this.name = 'TaskLocked';
  }
}

/** The run goes by another plan than the one that the attempt was claimed with: it is to be tried again. */
export class PlanRevised extends RowfleetError {
  constructor(runId: string) {
    super('PLAN_REVISED', `the plan of run ${runId} was revised`);
    this.name = 'PlanRevised';
  }
}

/**
 * The fence: locks the task for this transaction; a stale attempt loses here. Until the transaction ends, the run's plan
 * is not revised. Throws StaleAttempt, TaskLocked and PlanRevised.
 */
export async function lockClaim(session: Session, claim: ClaimedTask): Promise<void> {
  await holdPlan(session, claim.runId);
  const locked = session.query<{ hash: string; state: string }>(
    `select r.plan_hash as hash, r.state from rowfleet.task t join rowfleet.run r on r.id = t.run_id
      where t.id = $1 and t.attempt = $2 and t.state = 'running' for update of t nowait`,
    [claim.taskId, claim.number],
  );
  const { rows } = await locked.catch((error) => {
    throw sqlState(error) === sqlStates.lockNotAvailable ? new TaskLocked(claim.taskId) : error;
  });
  if (rows[0] === undefined) throw new StaleAttempt(claim.taskId);
  // It may have been claimed just when people stopped or cancelled the run, and nobody waits for it.
  if (rows[0].state !== 'running') throw new TaskLocked(claim.taskId, `the run is ${rows[0].state}`);
  if (rows[0].hash !== claim.planHash) throw new PlanRevised(claim.runId);
}

/** What an attempt did, for the ledger row that commits with the rows. */
export interface Tally {
  rowsOut?: number;
  rowsIn?: number;
  /** Of `rowsOut`: what went into quarantine. Defaults to 0. */
  rowsQuarantined?: number;
  bytes?: number;
  seconds: number;
  epoch?: number;
  evidence?: Record<string, number>;
  /** By flow, of a batch that feeds several. Absent: what was counted before stays. */
  outputs?: Record<string, { rowsOut: number; rowsIn: number }>;
}

/** Finishes the task in the work's own transaction; no row updated throws and rolls everything back. */
export async function finishTask(session: Session, claim: ClaimedTask, tally: Tally): Promise<void> {
  const { rowCount } = await session.query(
    `with finished as (
       update rowfleet.task
          set state = 'done', ended_at = clock_timestamp(), error = null, not_before = null,
              rows_out = $3, rows_in = $4, bytes = $5, seconds = $6, epoch = $7, evidence = $8, rows_quarantined = $9,
              outputs = coalesce($10, outputs),
              revision = (select r.revision from rowfleet.run r where r.id = run_id)
        where id = $1 and attempt = $2 and state = 'running' returning id
     )
     update rowfleet.attempt set ended_at = clock_timestamp(), outcome = 'done', bytes = coalesce($5, 0)
      where task_id = (select id from finished) and number = $2`,
    [
      claim.taskId,
      claim.number,
      tally.rowsOut ?? null,
      tally.rowsIn ?? null,
      tally.bytes ?? null,
      tally.seconds,
      tally.epoch ?? null,
      tally.evidence === undefined ? null : JSON.stringify(tally.evidence),
      tally.rowsQuarantined ?? 0,
      tally.outputs === undefined ? null : JSON.stringify(tally.outputs),
    ],
  );
  if (rowCount !== 1) throw new StaleAttempt(claim.taskId);
}

/** Gives a task back untried, to be taken again after `waitMs`; one of a cancelled flow ends. */
export async function handBackTask(on: Queryable, claim: ClaimedTask, waitMs = 0): Promise<void> {
  await on.query(
    `with handed as (
       update rowfleet.task t
          set state = case when ${isOfCancelledFlow} then 'cancelled' else 'waiting' end,
              not_before = clock_timestamp() + $3 * interval '1 millisecond'
        where id = $1 and attempt = $2 and state = 'running' returning id
     )
     update rowfleet.attempt set ended_at = clock_timestamp(), outcome = 'handed back'
      where task_id = (select id from handed) and number = $2`,
    [claim.taskId, claim.number, waitMs],
  );
}
