import type { Queryable } from './ledger.ts';
import { type Phase, type Run, readRun } from './runs.ts';
import { isCopyDone } from './tasks.ts';

/** Reads a run and keeps its row from others that change it until this transaction ends. Throws RUN_UNKNOWN. */
export async function lockRun(on: Queryable, runId: string): Promise<Run> {
  await on.query('select 1 from rowfleet.run where id = $1 for no key update', [runId]);
  return readRun(on, runId);
}

/** Whether a run still stands in a phase that it is to leave, and people have not given it more to copy since that was found out. */
export async function mayLeave(on: Queryable, runId: string, phase: Phase): Promise<boolean> {
  const run = await lockRun(on, runId);
  return run.phase === phase && (phase !== 'copy' || (await isCopyDone(on, runId)));
}
