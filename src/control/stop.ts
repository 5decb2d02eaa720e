import { usageError } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { lockRun } from '../ledger/lock-run.ts';
import { type Run, type RunState, readRun, recordEvent, setRunState } from '../ledger/runs.ts';
import { withSession } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';

/** Changes a run's state if it is one of `from`, together with the event that says who did it; tells whether it did. */
function changeState(
  ledger: Ledger,
  runId: string,
  change: { from: readonly RunState[]; to: RunState; actor: string; event: string },
): Promise<boolean> {
  return withSession(ledger.pool, (session) =>
    inTransaction(session, 'read committed', async () => {
      await lockRun(session, runId);
      const changed = await setRunState(session, runId, change.from, change.to);
      if (changed) await recordEvent(session, runId, change.actor, change.event);
      return changed;
    }),
  );
}

/** Stops a run where it is, to be resumed; tells whether it was running. Attempts under way are handed back. */
export function stopRun(ledger: Ledger, runId: string, actor: string): Promise<boolean> {
  return changeState(ledger, runId, { from: ['running'], to: 'stopped', actor, event: 'stopped' });
}

const cancellable: readonly RunState[] = [
  'running',
  'stopped',
  'failed',
  'findings',
  'quarantined',
  'cancelling',
];

/**
 * Asks for a run to be ended and undone: a scheduler empties what was empty before and brings back what was
 * taken down. Throws RUN_ENDED when there is nothing to undo any more.
 */
export async function cancelRun(ledger: Ledger, run: Run, actor: string): Promise<void> {
  const event = 'asked for cancellation';
  if (await changeState(ledger, run.id, { from: cancellable, to: 'cancelling', actor, event })) return;
  const { state } = await readRun(ledger.pool, run.id); // It may have ended since the caller looked.
  throw usageError(
    'RUN_ENDED',
    `run ${run.id} is ${state}: there is nothing left to cancel`,
    'see `rowfleet status`',
  );
}
