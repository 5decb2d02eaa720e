import type { RecordedFailure } from './fail-task.ts';
import { isOfCancelledFlow } from './flows.ts';
import type { Queryable } from './ledger.ts';

/** What an attempt came to. */
export interface AttemptResult {
  taskId: string;
  number: number;
  /** Null where it succeeded. */
  failure: RecordedFailure | null;
  at: Date;
}

/** The attempts of a run that succeeded or failed in the last `seconds`, oldest first. */
export async function readAttemptResults(
  on: Queryable,
  runId: string,
  seconds: number,
): Promise<AttemptResult[]> {
  const { rows } = await on.query(
    `select task_id as "taskId", number, error as failure, ended_at as at from rowfleet.attempt
      where run_id = $1 and outcome in ('done', 'failed') and ended_at > clock_timestamp() - make_interval(secs => $2)
      order by ended_at`,
    [runId, seconds],
  );
  return rows;
}

/** Lets the tasks of a run that wait for a server try again now: it answers. */
export async function endWaits(on: Queryable, runId: string): Promise<void> {
  await on.query(
    `update rowfleet.task set not_before = null
      where run_id = $1 and state = 'waiting' and not_before > clock_timestamp() and error ->> 'class' = 'wait'`,
    [runId],
  );
}

/** SQL: whether something else than the breaker of failures holds the task `t` back too. */
const isHeldOtherwise = `exists (
  select 1 from rowfleet.hold h
   where h.run_id = t.run_id and (h.flow = '' or h.flow = t.flow) and not (h.kind = 'breaker' and h.cause = 'failures'))`;

/**
 * Lets one waiting task of a run through its `failures` hold, the least troubled one first, and no other; returns its
 * id, or undefined where none waits.
 */
export async function letOneThrough(on: Queryable, runId: string): Promise<string | undefined> {
  const { rows } = await on.query(
    `with chosen as (
       update rowfleet.task set not_before = null
        where id = (select t.id from rowfleet.task t
                     where t.run_id = $1 and t.state = 'waiting' and not ${isHeldOtherwise} and not ${isOfCancelledFlow}
                     order by t.failures, random() limit 1)
       returning id
     ), let as (
       update rowfleet.hold set lets = (select id from chosen)
        where run_id = $1 and kind = 'breaker' and cause = 'failures' and lets is distinct from (select id from chosen)
     )
     select id::text from chosen`,
    [runId],
  );
  return rows[0]?.id;
}

/** Lets none through any more. */
export async function letNoneThrough(on: Queryable, runId: string): Promise<void> {
  await on.query(`update rowfleet.hold set lets = null where run_id = $1 and lets is not null`, [runId]);
}

/** Whether a task is still to be done, and nothing but the breaker of failures keeps it from that. */
export async function isTrying(on: Queryable, taskId: string): Promise<boolean> {
  const { rowCount } = await on.query(
    `select 1 from rowfleet.task t
      where t.id = $1 and (t.state = 'running' or t.state = 'waiting' and not ${isHeldOtherwise} and not ${isOfCancelledFlow})`,
    [taskId],
  );
  return rowCount === 1;
}

/** Whether a run has a task that is still to be done, whatever holds it back. */
export async function hasOpenTask(on: Queryable, runId: string): Promise<boolean> {
  const { rowCount } = await on.query(
    `select 1 from rowfleet.task t
      where t.run_id = $1 and t.state in ('waiting', 'running') and not ${isOfCancelledFlow} limit 1`,
    [runId],
  );
  return rowCount === 1;
}
