import { cutBatch, remainingBlocks } from '../copy/cut.ts';
import { nextBatchBlocks, sizeAim } from '../copy/size.ts';
import { type FlowRow, readFlows } from '../ledger/flows.ts';
import { insertBatch, readOpenTasks, readRecentBatches, readTooManyBlocks } from '../ledger/tasks.ts';
import { buildIndexes } from './build.ts';
import type { PhaseResult, RunContext } from './context.ts';
import { closeKeeper, openKeeper } from './snapshot.ts';
import { waitForWorkers } from './workers.ts';

/** Batches ahead of the loaders: two a slot, so that nobody waits for the scheduler. */
const batchesPerSlot = 2;

async function cutNext(ctx: RunContext, flow: FlowRow, slots: number): Promise<FlowRow> {
  const { id, plan } = ctx.run;
  const blocks = nextBatchBlocks({
    recent: await readRecentBatches(ctx.ledger, id, flow.name),
    startBlocks: Math.ceil(plan.settings.batchSize / flow.cut.rowsPerBlock),
    remainingBlocks: remainingBlocks(flow.cut),
    slots,
    tooManyBlocks: await readTooManyBlocks(ctx.ledger, id, flow.name),
    aim: sizeAim(plan.settings.batchTimeoutMs),
  });
  const { spec, cut, done } = cutBatch(flow.cut, blocks);
  await insertBatch(ctx.ledger, id, flow, spec, cut, done);
  ctx.busy = true;
  return { ...flow, cut, cutDone: done };
}

/** Cuts batches, largest table first, until enough lie ahead of the loaders. */
async function fillHorizon(ctx: RunContext, flows: FlowRow[], open: number): Promise<void> {
  const slots = Math.max(1, await waitForWorkers(ctx, 'loader'));
  let missing = slots * batchesPerSlot - open;
  for (let flow of flows.filter(({ name }) => !ctx.heldFlows.has(name))) {
    while (!flow.cutDone && missing > 0) {
      flow = await cutNext(ctx, flow, slots);
      missing -= 1;
    }
  }
}

/** One look at the copy: keeps the snapshot, cuts what is due, and builds the indexes of tables that are full. */
export async function copy(ctx: RunContext): Promise<PhaseResult> {
  if (ctx.keeper !== undefined && !ctx.keeper.alive) ctx.keeper = undefined;
  ctx.keeper ??= await openKeeper(ctx);
  const flows = await readFlows(ctx.ledger, ctx.run.id);
  const open = await readOpenTasks(ctx.ledger, ctx.run.id);
  const batches = open.filter((task) => task.kind === 'batch').length;
  await fillHorizon(ctx, flows, batches);
  await buildIndexes(ctx, flows);
  if (batches > 0 || flows.some((flow) => !flow.cutDone)) return 'stay';
  await closeKeeper(ctx);
  return 'next';
}
