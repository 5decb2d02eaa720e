import { isMissing } from '../constraints/missing.ts';
import { usageError } from '../errors.ts';
import { dropLedger, type Ledger, ledgerExists, migrateLedger } from '../ledger/ledger.ts';
import { readDown } from '../ledger/objects.ts';
import { readUnfinishedRuns } from '../ledger/runs.ts';
import { display } from '../pg/quote.ts';
import { type Session, withSession } from '../pg/session.ts';

async function refuseUnfinished(target: Session): Promise<void> {
  const [open] = await readUnfinishedRuns(target);
  if (open === undefined) return;
  throw usageError(
    'RUN_UNFINISHED',
    `run ${open.id} of plan "${open.name}" is ${open.state}, and its undo is in the ledger`,
    `finish it with: rowfleet resume -c ${open.planFile} ${open.id}\nor undo it with: rowfleet cancel -c ${open.planFile} ${open.id}`,
  );
}

/** A cancelled run leaves down what the rows that stayed do not allow. */
async function refuseMissing(target: Session): Promise<void> {
  for (const { runId, captured } of await readDown(target)) {
    if (!(await isMissing(target, captured))) continue;
    throw usageError(
      'NOT_RESTORED',
      `${captured.kind} ${captured.name} of ${display(captured.relation)} is down since run ${runId}, and its undo is in the ledger`,
      `remove or mend the rows that stand against it, then: ${captured.bringBack.join('; ')}`,
    );
  }
}

/**
 * Removes the ledger, after `removeQueue` has removed the queue's traces: what they are called in a shared Redis is
 * written in the ledger. Tells whether there was one. Throws RUN_UNFINISHED while a run is unfinished, and NOT_RESTORED while
 * something that a run took down is not back: the ledger is what its undo is kept in.
 */
export async function uninstall(ledger: Ledger, removeQueue: () => Promise<void>): Promise<boolean> {
  if (!(await ledgerExists(ledger.pool))) return false;
  await migrateLedger(ledger);
  await withSession(ledger.pool, async (target) => {
    await refuseUnfinished(target);
    await refuseMissing(target);
  });
  await removeQueue();
  await dropLedger(ledger);
  return true;
}
