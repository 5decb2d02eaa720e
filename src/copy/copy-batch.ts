import { barrier } from '../barrier.ts';
import { RowfleetError } from '../errors.ts';
import { type Epoch, holdEpoch, readOpenEpoch } from '../ledger/epochs.ts';
import { finishTask, lockClaim } from '../ledger/fence.ts';
import type { BatchSpec } from '../ledger/tasks.ts';
import { sqlState } from '../pg/errors.ts';
import { display, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { sqlStates } from '../pg/sql-states.ts';
import { inTransaction } from '../pg/transaction.ts';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';
import { type Range, readTogether } from '../plan/statements/select.ts';
import { backfillBatch } from './backfill-batch.ts';
import { type CopyBatchInput, type CopyTally, flowOf } from './batch-input.ts';
import { cornerBatch, type QuarantineTally } from './corner/corner-batch.ts';
import { reloadBatch } from './derive/reload-batch.ts';
import { lockStatement } from './keeper.ts';
import { loadRange } from './load-range.ts';
import { rangeOfBatch } from './range-of-batch.ts';

/** The source snapshot went away under the batch: it is to be tried again under the next one. */
export class SnapshotGone extends RowfleetError {
  constructor(reason: string) {
    super('SNAPSHOT_GONE', `the source snapshot is gone: ${reason}`, {
      hint: 'loaders must read the very server that the scheduler reads, not a standby of it',
    });
    this.name = 'SnapshotGone';
  }
}

/** What `set transaction snapshot` says of one that is not there: unknown, its process has ended, or no such name. */
const notImportable = new Set([
  sqlStates.invalidParameterValue,
  sqlStates.objectNotInPrerequisiteState,
  sqlStates.undefinedObject,
]);

/**
 * Locks what the batch reads and checks that nothing was rewritten since the snapshot: after a keeper's
 * death, and only then, that could have happened.
 */
async function checkUnmoved(source: Session, flow: ResolvedFlow, epoch: Epoch): Promise<void> {
  const files = flow.reads.filter((relation) => epoch.relations[display(relation)]?.filenode);
  if (files.length === 0) return;
  await source.query(lockStatement(files));
  const { rows } = await source.query(
    `select r.schema, r.name, pg_catalog.pg_relation_filenode(c.oid)::text as filenode
       from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as r (schema, name)
       join pg_catalog.pg_namespace n on n.nspname = r.schema
       join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = r.name`,
    [files.map((r) => r.schema), files.map((r) => r.name)],
  );
  for (const row of rows as (RelationName & { filenode: string })[]) {
    if (row.filenode !== epoch.relations[display(row)]?.filenode) {
      throw new SnapshotGone(`${display(row)} was rewritten`);
    }
  }
}

/** Runs `fn` under the run's shared snapshot. */
async function underSnapshot<T>(input: CopyBatchInput, epoch: Epoch, fn: () => Promise<T>): Promise<T> {
  let imported = false;
  const options = { snapshot: epoch.snapshot, searchPath: input.plan.source.searchPath };
  try {
    return await inTransaction(
      input.source,
      'repeatable read, read only',
      () => {
        imported = true;
        return fn();
      },
      options,
    );
  } catch (error) {
    if (!imported && notImportable.has(sqlState(error) ?? ''))
      throw new SnapshotGone((error as Error).message);
    throw error;
  }
}

/** Throws ROWS_DIFFER where the target took other rows than it was given. */
function proveTaken({ name, target }: ResolvedFlow, rows: { rowsOut: number; rowsIn: number }): void {
  if (rows.rowsOut === rows.rowsIn) return;
  throw new RowfleetError(
    'ROWS_DIFFER',
    `${name}: the source yielded ${rows.rowsOut} rows, ${display(target)} took ${rows.rowsIn}`,
    { hint: 'a rule or a trigger of the target drops or adds rows: take it down for the migration' },
  );
}

/** Whether parts of a range can be told apart: a view that is read whole has neither places nor a key. */
const canBeCornered = ({ leaf }: Range): boolean => leaf === undefined || leaf.hasCtid;

/** Extract, transform (in the source's SELECT) and load, as one stream of bytes; in mode `corner` without what is refused. */
async function pipe(input: CopyBatchInput, epoch: Epoch): Promise<QuarantineTally> {
  const { plan, claim, source, target } = input;
  const flow = flowOf(plan, claim);
  await checkUnmoved(source, flow, epoch);
  await barrier('copy.extract');
  if (claim.mode === 'reload') return reloadBatch({ ...input, flow }, epoch);
  const range = await rangeOfBatch(target, claim.runId, flow, claim.spec as BatchSpec);
  const copied: QuarantineTally =
    claim.mode === 'corner' && canBeCornered(range)
      ? await cornerBatch({ ...input, flow }, range)
      : await loadRange({ ...input, flow }, range);
  const { rowsOut, rowsIn, rowsQuarantined = 0, outputs = {} } = copied;
  proveTaken(flow, { rowsOut: rowsOut - rowsQuarantined, rowsIn });
  for (const each of readTogether(plan, flow)) if (outputs[each.name]) proveTaken(each, outputs[each.name]!);
  return copied;
}

/** Copies one claimed batch. The rows and the ledger row commit together or not at all. */
export async function copyBatch(input: CopyBatchInput): Promise<CopyTally> {
  const { plan, claim, target } = input;
  const flow = flowOf(plan, claim);
  if (flow.backfill !== undefined) return backfillBatch(input, flow);
  const epoch = await readOpenEpoch(target, claim.runId);
  if (epoch === undefined) throw new SnapshotGone('no keeper holds one yet');
  const started = performance.now();
  const copyAndRecord = async () => {
    await lockClaim(target, claim); // the fence: a stale attempt loses here
    const copied = await underSnapshot(input, epoch, () => pipe(input, epoch));
    await barrier('copy.record');
    if (!(await holdEpoch(target, claim.runId, epoch.epoch)))
      throw new SnapshotGone('another one was opened');
    const tally = { ...copied, seconds: (performance.now() - started) / 1000, epoch: epoch.epoch };
    await finishTask(target, claim, tally); // where attempt = mine
    await barrier('copy.commit');
    return tally;
  };
  // Defaults, checks and index expressions of the target may need the path that its tables were made for.
  return inTransaction(target, 'read committed', copyAndRecord, { searchPath: plan.target.searchPath });
}
