import { RowfleetError } from '../../errors.ts';
import type { Epoch } from '../../ledger/epochs.ts';
import { TaskLocked } from '../../ledger/fence.ts';
import { readRowsBefore } from '../../ledger/flows.ts';
import { readEditedRows } from '../../ledger/mend.ts';
import { readObjects } from '../../ledger/objects.ts';
import { readExcludedRows } from '../../ledger/quarantine.ts';
import {
  type EarlierLoad,
  lockRefused,
  lockReload,
  type ReloadSpec,
  readEarlierLoad,
  takeOverBatches,
} from '../../ledger/reload.ts';
import { recordEvent } from '../../ledger/runs.ts';
import type { BatchSpec } from '../../ledger/tasks.ts';
import { display } from '../../pg/quote.ts';
import { blockRange, readTogether } from '../../plan/statements/select.ts';
import { withoutRows } from '../../plan/statements/without-rows.ts';
import type { QuarantineContext, QuarantineTally } from '../corner/corner-batch.ts';
import { loadRange } from '../load-range.ts';
import { rangeOfBatch } from '../range-of-batch.ts';
import { type Derived, derive } from './derive.ts';
import type { Scope } from './scope.ts';

async function scopeOf(
  { target, claim, flow }: QuarantineContext,
  spec: BatchSpec | ReloadSpec,
): Promise<Scope> {
  if (!('scope' in spec))
    return { kind: 'batch', range: await rangeOfBatch(target, claim.runId, flow, spec) };
  return spec.scope === 'whole' ? { kind: 'whole' } : { kind: 'range', from: spec.from, to: spec.to };
}

/** Blocks are those that the batch once read only while the table's file is the same. */
function refuseMovedBlocks(
  { flow, claim }: QuarantineContext,
  { leaf }: BatchSpec,
  { relations }: EarlierLoad,
  epoch: Epoch,
) {
  const read = display(flow.leaves[leaf]!);
  const [was, is] = [relations?.[read]?.filenode, epoch.relations[read]?.filenode];
  if (was === undefined || was === is) return;
  throw new RowfleetError(
    'BLOCKS_MOVED',
    `${read} was rewritten since this batch was loaded: its blocks hold other rows now`,
    { hint: `load the whole flow again: rowfleet requeue --run ${claim.runId} --flow ${flow.name} --reload` },
  );
}

/** Rows that the batch counts from now on, so that all batches of its flow together count each row once. */
async function countOf(
  { target, claim }: QuarantineContext,
  scope: Scope,
  earlier: EarlierLoad,
  epoch: Epoch,
  { rows, inserted, deleted }: Derived,
): Promise<number> {
  if (scope.kind === 'whole') return rows - (await takeOverBatches(target, claim, epoch.epoch));
  // During the copy the source yields what it yielded: right for the halves of a batch too, whose count is one.
  if (!earlier.mended) return earlier.rowsIn;
  if (scope.kind === 'range' || earlier.overtaken) return earlier.rowsIn + inserted - deleted;
  return rows - earlier.rowsMended;
}

/** Adds the keys of a scope that an id map does not have yet. */
async function addIds(ctx: QuarantineContext, scope: Scope): Promise<Derived> {
  const ranges =
    scope.kind === 'batch' ? [scope.range] : ctx.flow.leaves.map((leaf) => blockRange(leaf, 0, null));
  const added = { rows: 0, inserted: 0, updated: 0, deleted: 0, bytes: 0 };
  for (const range of ranges) {
    const { rowsIn, bytes } = await loadRange(ctx, range);
    added.rows += rowsIn;
    added.bytes += bytes;
  }
  return added;
}

/** Derives a scope for each of the flows that are read together. */
async function deriveAll(ctx: QuarantineContext, scope: Scope): Promise<Map<string, Derived>> {
  const { plan, claim, source, target, seal } = ctx;
  const excluded = (await readExcludedRows(target, claim.runId, seal))[ctx.flow.name];
  const edited = await readEditedRows(target, claim.runId, seal);
  const before = await readRowsBefore(target, claim.runId);
  const objects = await readObjects(target, claim.runId);
  const down = objects.filter(({ state }) => state !== 'back').map(({ captured }) => captured);
  const derived = new Map<string, Derived>();
  for (const each of readTogether(plan, ctx.flow)) {
    const flow = excluded === undefined ? each : await withoutRows(source, each, excluded);
    const rows = { rowsBefore: before[display(flow.target)] ?? 0, down, kept: edited[flow.name] ?? [] };
    const one =
      flow.idMap === undefined
        ? await derive({ ...ctx, flow, ...rows }, scope)
        : await addIds({ ...ctx, flow }, scope);
    derived.set(flow.name, one);
  }
  return derived;
}

function sumOf(all: Derived[]): Derived {
  const sum = (key: keyof Derived) => all.reduce((total, each) => total + each[key], 0);
  return {
    ...{ rows: sum('rows'), bytes: sum('bytes') },
    ...{ inserted: sum('inserted'), updated: sum('updated'), deleted: sum('deleted') },
  };
}

/** Keeps other reloads of the tables away. Throws TaskLocked. */
async function lockTables({ plan, claim, flow, target }: QuarantineContext, exclusive: boolean) {
  const tables = new Set(readTogether(plan, flow).map((each) => display(each.target)));
  for (const table of [...tables].sort())
    if (!(await lockReload(target, table, exclusive)))
      throw new TaskLocked(claim.taskId, `more of ${table} is just being loaded again`);
}

/**
 * Loads what a batch covers once more, in the target transaction that the caller has open: only what differs is touched,
 * and rows in quarantine stay there. Throws BLOCKS_MOVED, and what `derive` throws.
 */
export async function reloadBatch(ctx: QuarantineContext, epoch: Epoch): Promise<QuarantineTally> {
  const { claim, flow, target } = ctx;
  const spec = claim.spec as BatchSpec | ReloadSpec;
  const scope = await scopeOf(ctx, spec);
  await lockTables(ctx, scope.kind !== 'batch');
  const earlier = await readEarlierLoad(target, claim);
  if (!('scope' in spec) && flow.grouping === undefined) refuseMovedBlocks(ctx, spec, earlier, epoch);
  await lockRefused(target, claim.runId, flow.name);
  const derived = await deriveAll(ctx, scope);
  const all = sumOf([...derived.values()]);
  const { rows, inserted, updated, deleted, bytes } = all;
  if (scope.kind !== 'batch') {
    const done = `batch ${claim.taskId} of ${flow.name} was loaded again: ${rows} rows, ${updated} updated, ${inserted} inserted, ${deleted} deleted`;
    await recordEvent(target, claim.runId, 'loader', done);
  }
  const rowsIn = await countOf(ctx, scope, earlier, epoch, all);
  const { rowsQuarantined } = earlier;
  const evidence = { rows, inserted, updated, deleted };
  const tally = { rowsOut: rowsIn + rowsQuarantined, rowsIn, rowsQuarantined, bytes, evidence };
  if (flow.readWith === undefined || !earlier.mended) return tally;
  const counts = (each: Derived) => (scope.kind === 'range' ? each.inserted - each.deleted : each.rows);
  const outputs = Object.fromEntries(
    [...derived].map(([name, each]) => [name, { rowsOut: counts(each), rowsIn: counts(each) }]),
  );
  return { ...tally, outputs };
}
