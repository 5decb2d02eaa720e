import type { Queryable } from './ledger.ts';

/** What people set for a run while it goes on; what is absent is as the plan says. */
export interface RunSettings {
  /** Batches of the run that may be under way at once, over the whole fleet. */
  concurrency?: number;
  /** Seconds that a batch should take. */
  batchSeconds?: number;
  /** Megabytes (2^20 bytes) that a batch may carry. */
  maxBatchMb?: number;
}

/** Writes what people set for a run; the next batch goes by it. */
export async function writeRunSettings(on: Queryable, runId: string, settings: RunSettings): Promise<void> {
  await on.query('update rowfleet.run set settings = $2 where id = $1', [runId, JSON.stringify(settings)]);
}

/**
 * SQL: whether as many tasks that copy are under way in the run `r` as people allow, besides the task `t`; null where
 * they allow any number, or it does not copy. To hold when several loaders claim at once, ask behind `lockConcurrency`.
 */
export const isFull = `case when r.settings ? 'concurrency' and t.kind in ('batch', 'mend') then (
  select count(*) from rowfleet.task o
    join rowfleet.attempt live on live.task_id = o.id and live.number = o.attempt
   where o.run_id = t.run_id and o.kind in ('batch', 'mend') and o.state = 'running' and o.id <> t.id
     and live.ended_at is null and live.lease_until > clock_timestamp()
) >= (r.settings ->> 'concurrency')::int end`;

/** Lets one loader after the other claim a task of the run, until this transaction ends. */
export async function lockConcurrency(on: Queryable, runId: string): Promise<void> {
  await on.query(`select pg_advisory_xact_lock(hashtextextended('rowfleet.concurrency ' || $1, 0))`, [runId]);
}
