import { usageError } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { type Run, recordEvent, setRunState } from '../ledger/runs.ts';

/** Stops a run where it is, to be resumed; tells whether it was running. Attempts under way are handed back. */
export async function stopRun(ledger: Ledger, runId: string, actor: string): Promise<boolean> {
  const stopped = await setRunState(ledger.pool, runId, ['running'], 'stopped');
  if (stopped) await recordEvent(ledger.pool, runId, actor, 'stopped');
  return stopped;
}

/**
 * Asks for a run to be ended and undone: a scheduler empties what was empty before and brings back what was
 * taken down. Throws RUN_ENDED when there is nothing to undo any more.
 */
export async function cancelRun(ledger: Ledger, run: Run, actor: string): Promise<void> {
  const asked = await setRunState(
    ledger.pool,
    run.id,
    ['running', 'stopped', 'failed', 'findings', 'quarantined', 'cancelling'],
    'cancelling',
  );
  if (!asked) {
    throw usageError(
      'RUN_ENDED',
      `run ${run.id} is ${run.state}: there is nothing left to cancel`,
      'see `rowfleet status`',
    );
  }
  await recordEvent(ledger.pool, run.id, actor, 'asked for cancellation');
}
