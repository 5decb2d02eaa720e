import type { Queryable } from './ledger.ts';
import { type Run, readRun } from './runs.ts';

/** People changed the run since a scheduler looked at it: nothing of what that look was about to write is kept. */
export class RunChanged extends Error {
  constructor(runId: string) {
    super(`run ${runId} was changed by people meanwhile`);
    this.name = 'RunChanged';
  }
}

/**
 * Reads a run for a change that people ask for, and keeps its row from others until this transaction ends. A look of a
 * scheduler that began before writes nothing any more. Throws RUN_UNKNOWN.
 */
export async function lockRun(on: Queryable, runId: string): Promise<Run> {
  await on.query('update rowfleet.run set changes = changes + 1 where id = $1', [runId]);
  return readRun(on, runId);
}

/**
 * Keeps a run as a look found it until this transaction ends. Throws RunChanged where people changed it since; with
 * `wait: false` also where they are about to. Waits for them by default.
 */
export async function holdUnchanged(on: Queryable, run: Run, { wait = true } = {}): Promise<void> {
  const { rowCount } = await on.query(
    `select 1 from rowfleet.run where id = $1 and changes = $2 for no key update ${wait ? '' : 'skip locked'}`,
    [run.id, run.changes],
  );
  if (rowCount !== 1) throw new RunChanged(run.id);
}
