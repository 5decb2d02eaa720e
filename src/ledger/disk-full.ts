import { sqlStates } from '../pg/sql-states.ts';
import type { Queryable } from './ledger.ts';

/** What attempts of a run have to say about the target's disk. */
export interface DiskFullReport {
  /** Attempts in the last `seconds` that failed of it. */
  lately: number;
  /** When the first one since the last success failed of it; null where none did. */
  since: Date | null;
}

/** Reads how often attempts of a run met a full disk on the target. */
export async function readDiskFull(on: Queryable, runId: string, seconds: number): Promise<DiskFullReport> {
  const { rows } = await on.query(
    `select (count(*) filter (where ended_at > clock_timestamp() - make_interval(secs => $2)))::int as lately,
            min(ended_at) as since
       from rowfleet.attempt
      where run_id = $1 and outcome = 'failed' and coalesce(error ->> 'sqlState', error ->> 'code') = $3
        and error ->> 'side' is distinct from 'source'
        and ended_at > coalesce((select max(ended_at) from rowfleet.attempt where run_id = $1 and outcome = 'done'), '-infinity')`,
    [runId, seconds, sqlStates.diskFull],
  );
  return rows[0];
}
