import { setTimeout as sleep } from 'node:timers/promises';
import { RowfleetError } from '../errors.ts';
import { sqlState } from '../pg/errors.ts';
import type { FailureClass } from '../pg/failure-class.ts';
import type { Session } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import { isOfCancelledFlow } from './flows.ts';
import { isHeldBack } from './holds.ts';
import type { Queryable } from './ledger.ts';
import { holdPlan } from './revisions.ts';
import { isFull, lockConcurrency } from './settings.ts';
import type { TaskKind, TaskMode } from './tasks.ts';

/** How long an attempt may go without a sign of life before a successor ends it. Renewed every second. */
export const leaseMs = 6_000;

/** A task that this worker holds, and everything it needs to begin. */
export interface ClaimedTask {
  kind: 'claimed';
  taskId: string;
  runId: string;
  taskKind: TaskKind;
  /** How a batch puts its rows in. */
  mode: TaskMode;
  number: number;
  /** Earlier attempts that count against max_retries. */
  failures: number;
  flow: string | null;
  relation: string;
  spec: unknown;
  planHash: string;
}

export type Claim =
  | ClaimedTask
  /** Done, failed for good or cancelled: nothing to do. */
  | { kind: 'settled' }
  /** The run does not want it now (stopped, cancelling, ended, as busy as people allow), or it is held back. */
  | { kind: 'held' }
  /** Someone else is at it, or its back-off has not run out. Try again in `waitMs`. */
  | { kind: 'busy'; waitMs: number };

interface TaskRow {
  id: string;
  run_id: string;
  state: string;
  attempt: number;
  run_state: string;
  held: boolean;
  cancelled: boolean;
  /** As many batches of the run are under way as people allow; null where they do not limit it. */
  full: boolean | null;
  early_ms: number;
  lease_ms: number | null;
  backend_pid: number | null;
  backend_start: string | null;
}

async function readTask(session: Session, taskId: string): Promise<TaskRow | undefined> {
  const { rows } = await session.query(
    `select t.id, t.run_id, t.state, t.attempt, r.state as run_state, ${isHeldBack} as held,
            ${isOfCancelledFlow} as cancelled, ${isFull} as full,
            coalesce(extract(epoch from t.not_before - clock_timestamp()) * 1000, 0)::float8 as early_ms,
            (extract(epoch from a.lease_until - clock_timestamp()) * 1000)::float8 as lease_ms,
            a.backend_pid, a.backend_start::text
       from rowfleet.task t
       join rowfleet.run r on r.id = t.run_id
       left join rowfleet.attempt a on a.task_id = t.id and a.number = t.attempt and a.ended_at is null
      where t.id = $1`,
    [taskId],
  );
  return rows[0];
}

/**
 * Terminates the backend of an attempt whose lease has run out, waits until it is gone, and gives the task back: whatever
 * becomes of the successor, a task without an attempt waits.
 */
async function endPredecessor(session: Session, task: TaskRow): Promise<void> {
  const mine = [task.backend_pid, task.backend_start];
  const alive = `from pg_stat_activity where pid = $1 and backend_start = $2::timestamptz and pid <> pg_backend_pid()`;
  await session.query(`select pg_terminate_backend(pid) ${alive}`, mine);
  for (;;) {
    const { rowCount } = await session.query(`select 1 ${alive}`, mine);
    if (rowCount === 0) break;
    await sleep(50);
  }
  await session.query(
    `with lost as (
       update rowfleet.attempt set ended_at = clock_timestamp(), outcome = 'lost'
        where task_id = $1 and number = $2 and ended_at is null returning task_id
     )
     update rowfleet.task set state = 'waiting'
      where id = (select task_id from lost) and attempt = $2 and state = 'running'`,
    [task.id, task.attempt],
  );
}

/** Settles a task that people want no more, and that nobody works on. */
async function cancelTask(session: Session, task: TaskRow): Promise<void> {
  await session.query(
    `update rowfleet.task set state = 'cancelled', ended_at = clock_timestamp()
      where id = $1 and attempt = $2 and state in ('waiting', 'running')`,
    [task.id, task.attempt],
  );
}

/**
 * Claims a task in a transaction of its own, committed before the work starts, for the backend of `session`:
 * the session that the work will then run on, so that a successor can end exactly that backend.
 */
export async function claimTask(session: Session, worker: string, taskId: string): Promise<Claim> {
  const task = await readTask(session, taskId);
  if (task === undefined || !['waiting', 'running'].includes(task.state)) return { kind: 'settled' };
  if (task.run_state !== 'running' || task.held) return { kind: 'held' };
  if (task.state === 'waiting' && task.early_ms > 0) return { kind: 'busy', waitMs: task.early_ms };
  if (task.lease_ms !== null) {
    if (task.lease_ms > 0) return { kind: 'busy', waitMs: task.lease_ms };
    await endPredecessor(session, task);
  }
  if (task.cancelled) {
    await cancelTask(session, task);
    return { kind: 'settled' };
  }
  if (task.full === null) return take(session, worker, task);
  return inTransaction(session, 'read committed', async () => {
    await lockConcurrency(session, task.run_id);
    const isStillFull = (await readTask(session, taskId))?.full;
    return isStillFull ? { kind: 'held' } : take(session, worker, task);
  });
}

/** Makes the next attempt at a task the one of this session. */
async function take(session: Session, worker: string, task: TaskRow): Promise<Claim> {
  const { rows } = await session.query(
    `with claimed as (
       update rowfleet.task t set state = 'running', attempt = attempt + 1
        where id = $1 and attempt = $2 and state in ('waiting', 'running') and not ${isHeldBack} and not ${isOfCancelledFlow}
       returning t.*
     ), tried as (
       insert into rowfleet.attempt (task_id, number, run_id, worker, backend_pid, backend_start, lease_until)
       select c.id, c.attempt, c.run_id, $3, pg_backend_pid(), s.backend_start,
              clock_timestamp() + $4 * interval '1 millisecond'
         from claimed c, pg_stat_activity s where s.pid = pg_backend_pid()
       returning number
     )
     select c.*, r.plan_hash from claimed c join rowfleet.run r on r.id = c.run_id cross join tried`,
    [task.id, task.attempt, worker, leaseMs],
  );
  const claimed = rows[0];
  if (claimed === undefined) return { kind: 'busy', waitMs: 500 };
  return {
    kind: 'claimed',
    taskId: task.id,
    runId: claimed.run_id,
    taskKind: claimed.kind,
    mode: claimed.mode,
    number: claimed.attempt,
    failures: claimed.failures,
    flow: claimed.flow,
    relation: claimed.relation,
    spec: claimed.spec,
    planHash: claimed.plan_hash,
  };
}

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

const lockNotAvailable = '55P03';

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
  const locked = session.query<{ hash: string }>(
    `select r.plan_hash as hash from rowfleet.task t join rowfleet.run r on r.id = t.run_id
      where t.id = $1 and t.attempt = $2 and t.state = 'running' for update of t nowait`,
    [claim.taskId, claim.number],
  );
  const { rows } = await locked.catch((error) => {
    throw sqlState(error) === lockNotAvailable ? new TaskLocked(claim.taskId) : error;
  });
  if (rows[0] === undefined) throw new StaleAttempt(claim.taskId);
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
}

/** Finishes the task in the work's own transaction; no row updated throws and rolls everything back. */
export async function finishTask(session: Session, claim: ClaimedTask, tally: Tally): Promise<void> {
  const { rowCount } = await session.query(
    `with finished as (
       update rowfleet.task
          set state = 'done', ended_at = clock_timestamp(), error = null, not_before = null,
              rows_out = $3, rows_in = $4, bytes = $5, seconds = $6, epoch = $7, evidence = $8, rows_quarantined = $9,
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
    ],
  );
  if (rowCount !== 1) throw new StaleAttempt(claim.taskId);
}

/** What the ledger keeps of an error: no row values. */
export interface RecordedError {
  code: string;
  message: string;
  hint?: string;
  /** What was made of a failed attempt; unset for what ended a run otherwise. */
  class?: FailureClass;
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
