import { isMissing } from '../constraints/missing.ts';
import { usageError } from '../errors.ts';
import { moveIdMaps, readIdMaps } from '../ledger/id-maps.ts';
import { dropLedger, type Ledger, ledgerExists, migrateLedger } from '../ledger/ledger.ts';
import { readDown } from '../ledger/objects.ts';
import { readUnfinishedRuns } from '../ledger/runs.ts';
import { display } from '../pg/quote.ts';
import { type Session, withSession } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';

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

/** What becomes of id maps: they go to a schema, or with the ledger. Neither: they must not be there. */
export type IdMapsAfter = { schema?: string; drop?: boolean };

/** Schemas that go with the ledger. */
const goingWithIt = ['rowfleet', 'rowfleet_queue'];

/** New ids stand in links and exports: people say what becomes of the maps. */
async function settleIdMaps(target: Session, { schema, drop = false }: IdMapsAfter): Promise<void> {
  if (drop && schema !== undefined)
    throw usageError('OPTIONS_EXCLUDE', 'id maps are either kept or dropped', 'say one of the two');
  if (drop) return;
  if (schema !== undefined && goingWithIt.includes(schema))
    throw usageError(
      'ID_MAPS_KEPT',
      `the schema ${schema} is removed`,
      'name another one to keep id maps in',
    );
  if (schema !== undefined) return inTransaction(target, 'read committed', () => moveIdMaps(target, schema));
  const kept = (await readIdMaps(target)).filter(({ rows }) => rows > 0);
  if (kept.length === 0) return;
  const list = kept
    .map(({ name, rows }) => `${name} (${rows.toLocaleString('en')} ${rows === 1 ? 'key' : 'keys'})`)
    .join(', ');
  throw usageError(
    'ID_MAPS_KEPT',
    `the ledger holds id maps: ${list}`,
    'keep them with --keep-id-maps <schema>, or give them up with --drop-id-maps',
  );
}

/**
 * Removes the ledger, after `removeQueue` has removed the queue's traces: what they are called in a shared Redis is
 * written in the ledger. Tells whether there was one. Throws RUN_UNFINISHED while a run is unfinished, and NOT_RESTORED while
 * something that a run took down is not back: the ledger is what its undo is kept in; ID_MAPS_KEPT while it is not said what becomes of id maps.
 */
export async function uninstall(
  ledger: Ledger,
  removeQueue: () => Promise<void>,
  idMaps: IdMapsAfter = {},
): Promise<boolean> {
  if (!(await ledgerExists(ledger.pool))) return false;
  await migrateLedger(ledger);
  await withSession(ledger.pool, async (target) => {
    await refuseUnfinished(target);
    await refuseMissing(target);
    await settleIdMaps(target, idMaps);
  });
  await removeQueue();
  await dropLedger(ledger);
  return true;
}
