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
import { withoutRows } from '../../plan/without-rows.ts';
import type { QuarantineContext, QuarantineTally } from '../corner/corner-batch.ts';
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

/**
 * Loads what a batch covers once more, in the target transaction that the caller has open: only what differs is touched,
 * and rows in quarantine stay there. Throws BLOCKS_MOVED, and what `derive` throws.
 */
export async function reloadBatch(ctx: QuarantineContext, epoch: Epoch): Promise<QuarantineTally> {
  const { plan, claim, flow, source, target, seal } = ctx;
  const spec = claim.spec as BatchSpec | ReloadSpec;
  const scope = await scopeOf(ctx, spec);
  if (!(await lockReload(target, claim.relation, scope.kind !== 'batch')))
    throw new TaskLocked(claim.taskId, `more of ${claim.relation} is just being loaded again`);
  const earlier = await readEarlierLoad(target, claim);
  if (!('scope' in spec) && flow.grouping === undefined) refuseMovedBlocks(ctx, spec, earlier, epoch);
  await lockRefused(target, claim.runId, flow.name);
  const excluded = (await readExcludedRows(target, claim.runId, seal))[flow.name];
  const before = await readRowsBefore(target, claim.runId);
  const objects = await readObjects(target, claim.runId);
  const derived = await derive(
    {
      ...ctx,
      plan,
      flow: excluded === undefined ? flow : await withoutRows(source, flow, excluded),
      rowsBefore: before[display(flow.target)] ?? 0,
      down: objects.filter(({ state }) => state !== 'back').map(({ captured }) => captured),
      kept: (await readEditedRows(target, claim.runId, seal))[flow.name] ?? [],
    },
    scope,
  );
  const { rows, inserted, updated, deleted, bytes } = derived;
  if (scope.kind !== 'batch') {
    const done = `batch ${claim.taskId} of ${flow.name} was loaded again: ${rows} rows, ${updated} updated, ${inserted} inserted, ${deleted} deleted`;
    await recordEvent(target, claim.runId, 'loader', done);
  }
  const rowsIn = await countOf(ctx, scope, earlier, epoch, derived);
  const { rowsQuarantined } = earlier;
  const evidence = { rows, inserted, updated, deleted };
  return { rowsOut: rowsIn + rowsQuarantined, rowsIn, rowsQuarantined, bytes, evidence };
}
