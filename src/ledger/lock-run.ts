import type { Queryable } from './ledger.ts';
import { type Run, readRun } from './runs.ts';

/** Reads a run and keeps its row from others that change it until this transaction ends. Throws RUN_UNKNOWN. */
export async function lockRun(on: Queryable, runId: string): Promise<Run> {
  await on.query('select 1 from rowfleet.run where id = $1 for no key update', [runId]);
  return readRun(on, runId);
}
