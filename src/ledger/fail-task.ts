import type { FailureClass } from '../pg/failure-class.ts';
import type { ClaimedTask } from './claim.ts';
import type { Queryable } from './ledger.ts';
import type { RecordedError } from './recorded-error.ts';
import type { BatchSpec, TaskMode } from './tasks.ts';

/** A failed attempt as the ledger keeps it: what people read, and what it is counted by. */
export interface RecordedFailure extends RecordedError {
  class: FailureClass;
  side?: 'source' | 'target';
  constraint?: string;
  /** What the server said, where `code` is rowfleet's own. */
  sqlState?: string;
  /** Blocks of a batch that was too much for one transaction: the next ones are cut smaller. */
  tooManyBlocks?: number;
}

/** What becomes of a task whose attempt failed. */
export interface NextTry {
  /** Milliseconds until it; null for never: the task failed for good. */
  waitMs: number | null;
  /** Whether the failure counts against max_retries. */
  counts: boolean;
  /** How the next attempt puts the rows in, where that changes. */
  mode?: TaskMode;
  /** The batch in two: the task keeps the first half, and the count of both where they were loaded before; a new one gets the second. */
  halves?: [BatchSpec, BatchSpec];
}

/**
 * Records a failed attempt, counts its pattern, and settles what is next, all in one statement. Changes nothing, and
 * tells so, when the attempt is the task's no more: another took over, or its commit went through and only the
 * answer was lost.
 */
export async function failTask(
  on: Queryable,
  claim: ClaimedTask,
  failure: RecordedFailure,
  next: NextTry,
): Promise<boolean> {
  const { rowCount } = await on.query(
    `with failed as (
       update rowfleet.task
          set failures = failures + $4::int, error = $3,
              state = case when $5::float8 is null then 'failed' else 'waiting' end,
              ended_at = case when $5::float8 is null then clock_timestamp() end,
              not_before = clock_timestamp() + $5::float8 * interval '1 millisecond',
              mode = coalesce($6, mode), spec = coalesce($7::jsonb, spec)
        where id = $1 and attempt = $2 and state = 'running' returning *
     ), ended as (
       update rowfleet.attempt set ended_at = clock_timestamp(), outcome = 'failed', error = $3
        where task_id = (select id from failed) and number = $2
     ), second as (
       insert into rowfleet.task
         (run_id, kind, flow, relation, spec, mode, failures, not_before, error, epoch, revision, rows_out, rows_in, bytes, seconds)
       select run_id, kind, flow, relation, $8::jsonb, mode, failures, not_before, error, epoch, revision, l.no, l.no, l.no, l.no
         from failed cross join lateral (select case when rows_in is not null then 0 end as no) l where $8::jsonb is not null
     )
     insert into rowfleet.error_pattern as p (run_id, class, code, constraint_name, relation, side, message)
     select run_id, $9, $10, $11, relation, $12, $13 from failed
     on conflict (run_id, class, code, constraint_name, relation, side)
       do update set count = p.count + 1, last_at = clock_timestamp(), message = excluded.message`,
    [
      claim.taskId,
      claim.number,
      JSON.stringify(failure),
      next.counts ? 1 : 0,
      next.waitMs,
      next.mode ?? null,
      next.halves === undefined ? null : JSON.stringify(next.halves[0]),
      next.halves === undefined ? null : JSON.stringify(next.halves[1]),
      failure.class,
      failure.sqlState ?? failure.code,
      failure.constraint ?? '',
      failure.side ?? '',
      failure.message,
    ],
  );
  return rowCount === 1;
}

/** What a retry policy needs to know of a task beside its claim. */
export interface TaskHistory {
  /** Failures in a row that were only waited for, the latest included none. */
  waits: number;
  /** How often it was handed back in the last half minute. */
  handedBack: number;
  /** Blocks of the leaf that a batch reads, when they were counted. */
  leafBlocks: number | null;
}

/** Reads what the attempts of a task came to before the one that `claim` is. */
export async function readTaskHistory(on: Queryable, claim: ClaimedTask): Promise<TaskHistory> {
  const { rows } = await on.query(
    `select (select count(*)::int from rowfleet.attempt a
              where a.task_id = t.id and a.number < $2 and a.outcome = 'failed' and a.error ->> 'class' = 'wait'
                and a.ended_at > clock_timestamp() - interval '5 minutes') as waits,
            (select count(*)::int from rowfleet.attempt a
              where a.task_id = t.id and a.outcome = 'handed back'
                and a.ended_at > clock_timestamp() - interval '30 seconds') as "handedBack",
            (select (f.cut -> 'blocks' -> (t.spec ->> 'leaf')::int)::float8 from rowfleet.flow f
              where f.run_id = t.run_id and f.name = t.flow) as "leafBlocks"
       from rowfleet.task t where t.id = $1`,
    [claim.taskId, claim.number],
  );
  return rows[0] ?? { waits: 0, handedBack: 0, leafBlocks: null };
}

/**
 * Ends the backend that an attempt ran on, if it is still there: one that was cut off may not know it yet, and would
 * keep its task locked.
 */
export async function endBackend(on: Queryable, claim: ClaimedTask): Promise<void> {
  await on.query(
    `select pg_terminate_backend(s.pid)
       from rowfleet.attempt a join pg_stat_activity s on s.pid = a.backend_pid and s.backend_start = a.backend_start
      where a.task_id = $1 and a.number = $2 and a.ended_at is null and s.pid <> pg_backend_pid()`,
    [claim.taskId, claim.number],
  );
}
