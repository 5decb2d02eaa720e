import { barrier } from '../barrier.ts';
import { cutBatch, remainingBlocks } from '../copy/cut.ts';
import { readRelations } from '../copy/keeper.ts';
import { nextBatchBlocks } from '../copy/size.ts';
import { type FlowRow, readFlows } from '../ledger/flows.ts';
import {
  areBatchesDone,
  insertBatch,
  isCopyDone,
  readOpenTasks,
  readRecentBatches,
  readTooManyBlocks,
} from '../ledger/tasks.ts';
import { display } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedPlan } from '../plan/resolved-plan.ts';
import { buildIndexes, readUnbuilt } from './build.ts';
import type { Keeper, PhaseResult, RunContext } from './context.ts';
import { effectiveSettings } from './effective-settings.ts';
import { asDriver } from './lead.ts';
import { closeKeeper, openKeeper } from './snapshot.ts';
import { waitForWorkers } from './workers.ts';

/** Batches ahead of the loaders: two a slot, so that nobody waits for the scheduler. */
const batchesPerSlot = 2;

async function cutNext(ctx: RunContext, tx: Session, flow: FlowRow, slots: number): Promise<FlowRow> {
  const { id, plan, settings } = ctx.run;
  const { batchSeconds, maxBatchMb } = effectiveSettings(plan.settings, settings);
  const blocks = nextBatchBlocks({
    recent: await readRecentBatches(tx, id, flow.name),
    startBlocks: Math.ceil(plan.settings.batchSize / flow.cut.rowsPerBlock),
    remainingBlocks: remainingBlocks(flow.cut),
    slots,
    tooManyBlocks: await readTooManyBlocks(tx, id, flow.name),
    aim: { seconds: batchSeconds.value, bytes: maxBatchMb.value * 1024 * 1024 },
  });
  const { spec, cut, done } = cutBatch(flow.cut, blocks);
  await insertBatch(tx, id, flow, spec, cut, done);
  ctx.busy = true;
  return { ...flow, cut, cutDone: done };
}

/** Cuts batches, largest table first, until enough lie ahead of the loaders. */
async function fillHorizon(ctx: RunContext, flows: FlowRow[], open: number): Promise<void> {
  const present = Math.max(1, await waitForWorkers(ctx, 'loader'));
  const slots = Math.min(present, ctx.run.settings.concurrency ?? present);
  const unready = await readUnready(ctx, flows);
  const uncut = (all: FlowRow[]) =>
    all.filter(
      ({ name, readWith, cutDone, cancelled, waitsFor }) =>
        (readWith ?? name) === name &&
        !cutDone &&
        !cancelled &&
        !ctx.heldFlows.has(name) &&
        !waitsFor.some((other) => unready.has(other)),
    );
  if (open === 0 && uncut(flows).length === 0) sayBlocked(ctx, flows, unready);
  let missing = slots * batchesPerSlot - open;
  if (uncut(flows).length === 0 || missing <= 0) return;
  await asDriver(ctx, async (tx) => {
    // Read anew: a revision of the plan may have let one start again.
    for (let flow of uncut(await readFlows(tx, ctx.run.id, { lock: true }))) {
      while (!flow.cutDone && missing > 0) {
        flow = await cutNext(ctx, tx, flow, slots);
        missing -= 1;
      }
    }
    await barrier('copy.cut');
  });
}

/** Notes for which flow another one cannot begin, where nothing else is under way. */
function sayBlocked(ctx: RunContext, flows: FlowRow[], unready: ReadonlySet<string>): void {
  for (const { name, cutDone, cancelled, waitsFor } of flows) {
    const other = waitsFor.find((each) => unready.has(each));
    if (cutDone || cancelled || other === undefined) continue;
    const held = ctx.heldFlows.has(other) ? ', which is held back' : '';
    ctx.waiting ??= `flow ${name} waits for flow ${other}${held}: it looks values up in what that fills`;
  }
}

/** Of the flows that others wait for, those whose tables nothing can be looked up in yet: not copied, or not fused and indexed. */
async function readUnready(ctx: RunContext, flows: FlowRow[]): Promise<ReadonlySet<string>> {
  const wanted = new Set(flows.flatMap(({ cutDone, waitsFor }) => (cutDone ? [] : waitsFor)));
  const unready = new Set<string>();
  if (wanted.size === 0) return unready;
  const unbuilt = await readUnbuilt(ctx);
  for (const name of wanted) {
    const together = flows.filter((flow) => (flow.readWith ?? flow.name) === name && !flow.cancelled);
    const isReady =
      together.every(({ cutDone, target }) => cutDone && !unbuilt.has(target)) &&
      (await areBatchesDone(ctx.ledger, ctx.run.id, [name]));
    if (!isReady) unready.add(name);
  }
  return unready;
}

/** Whether a snapshot was opened over all that the plan reads; a revision may read more. */
const keepsAll = ({ epoch }: Keeper, plan: ResolvedPlan): boolean =>
  readRelations(plan).every((relation) => display(relation) in epoch.relations);

/** Rows that are updated where they stand are read as they are: a snapshot would only keep their old versions from being vacuumed. */
const needsSnapshot = ({ flows }: ResolvedPlan): boolean =>
  flows.some(({ backfill }) => backfill === undefined);

/** One look at the copy: keeps the snapshot, cuts what is due, and builds the indexes of tables that are full. */
export async function copy(ctx: RunContext): Promise<PhaseResult> {
  if (ctx.keeper !== undefined && !ctx.keeper.alive) ctx.keeper = undefined;
  if (ctx.keeper !== undefined && !keepsAll(ctx.keeper, ctx.run.plan)) await closeKeeper(ctx);
  if (needsSnapshot(ctx.run.plan)) ctx.keeper ??= await openKeeper(ctx);
  const flows = await readFlows(ctx.ledger, ctx.run.id);
  const open = await readOpenTasks(ctx.ledger, ctx.run.id);
  const batches = open.filter((task) => task.kind === 'batch').length;
  await fillHorizon(ctx, flows, batches);
  await buildIndexes(ctx, flows);
  // Not only that none is open: one may have failed since this look began.
  if (!(await isCopyDone(ctx.ledger, ctx.run.id))) return 'stay';
  await closeKeeper(ctx);
  return 'next';
}
