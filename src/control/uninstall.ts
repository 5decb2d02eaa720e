import { usageError } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { dropLedger, ledgerExists } from '../ledger/ledger.ts';
import { readUnfinishedRuns } from '../ledger/runs.ts';

/**
 * Removes the ledger. Throws RUN_UNFINISHED while a run is unfinished: the ledger is what its undo is kept in. Tells
 * whether there was one. The queue's traces are the queue backend's to remove.
 */
export async function uninstall(ledger: Ledger): Promise<boolean> {
  if (!(await ledgerExists(ledger.pool))) return false;
  const [open] = (await readUnfinishedRuns(ledger.pool)).filter((run) => run.kind === 'migrate');
  if (open !== undefined) {
    throw usageError(
      'RUN_UNFINISHED',
      `run ${open.id} of plan "${open.name}" is ${open.state}, and its undo is in the ledger`,
      `finish it with \`rowfleet resume\`, or undo it with \`rowfleet cancel -c ${open.planFile} ${open.id}\``,
    );
  }
  await dropLedger(ledger);
  return true;
}
