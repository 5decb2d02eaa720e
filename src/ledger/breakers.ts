import type { RecordedFailure } from './fail-task.ts';
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

/**
 * Lets one waiting task of a run through its `failures` hold, the least troubled one first, and no other; returns its
 * id, or undefined where none waits.
 */
export async function letOneThrough(on: Queryable, runId: string): Promise<string | undefined> {
  const { rows } = await on.query(
    `with chosen as (
       update rowfleet.task set not_before = null
        where id = (select id from rowfleet.task where run_id = $1 and state = 'waiting' order by failures, random() limit 1)
       returning id
     )
     update rowfleet.hold set lets = (select id from chosen)
      where run_id = $1 and kind = 'breaker' and cause = 'failures' returning lets::text as id`,
    [runId],
  );
  return rows[0]?.id ?? undefined;
}

/** Lets none through any more. */
export async function letNoneThrough(on: Queryable, runId: string): Promise<void> {
  await on.query(`update rowfleet.hold set lets = null where run_id = $1 and lets is not null`, [runId]);
}

/** Whether a task is still to be done. */
export async function isOpen(on: Queryable, taskId: string): Promise<boolean> {
  const { rowCount } = await on.query(
    `select 1 from rowfleet.task where id = $1 and state in ('waiting', 'running')`,
    [taskId],
  );
  return rowCount === 1;
}
