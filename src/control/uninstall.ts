import { usageError } from '../errors.ts';
import { dropLedger, type Ledger, ledgerExists, migrateLedger } from '../ledger/ledger.ts';
import { readUnfinishedRuns } from '../ledger/runs.ts';

/**
 * Removes the ledger, after `removeQueue` has removed the queue's traces: what they are called in a shared Redis is
 * written in the ledger. Tells whether there was one. Throws RUN_UNFINISHED while a run is unfinished: the ledger is
 * what its undo is kept in.
 */
export async function uninstall(ledger: Ledger, removeQueue: () => Promise<void>): Promise<boolean> {
  if (!(await ledgerExists(ledger.pool))) return false;
  await migrateLedger(ledger);
  const [open] = await readUnfinishedRuns(ledger.pool);
  if (open !== undefined) {
    throw usageError(
      'RUN_UNFINISHED',
      `run ${open.id} of plan "${open.name}" is ${open.state}, and its undo is in the ledger`,
      `finish it with: rowfleet resume -c ${open.planFile} ${open.id}\nor undo it with: rowfleet cancel -c ${open.planFile} ${open.id}`,
    );
  }
  await removeQueue();
  await dropLedger(ledger);
  return true;
}
