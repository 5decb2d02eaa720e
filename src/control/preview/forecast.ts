import { cutBatch, remainingBlocks } from '../../copy/cut.ts';
import { type Estimate, estimateFlow } from '../../copy/estimate.ts';
import { type MeasuredBatch, nextBatchBlocks } from '../../copy/size.ts';
import { type EarlierRun, readEarlierRun } from '../../ledger/read-pace.ts';
import type { Session } from '../../pg/session.ts';
import type { ResolvedFlow, ResolvedPlan } from '../../plan/resolved-plan.ts';
import { leaderOf, readTogether } from '../../plan/statements/select.ts';
import { waitsFor } from '../../plan/waits.ts';
import { effectiveSettings } from '../../run/effective-settings.ts';
import { type Measured, measureReading, type Reading } from './measure.ts';

/** What one flow, or several that are read together, will come to. All numbers are estimates. */
export interface FlowForecast {
  /** What the plan calls it. */
  flow: string;
  /** Flows that are copied before it, since its rows are looked up in what they fill. */
  waitsFor: string[];
  /** That it yields, as the measured part does; without one driving rows, by the server's statistics. */
  rows: number;
  /** Of the driving table. */
  bytes: number;
  /** Absent where nothing was measured that tells. */
  batches?: number;
  reading: Reading;
  /** Seconds that reading all of it takes, one batch at a time; absent where nothing was measured. */
  seconds?: number;
}

export interface Forecast {
  /** In the order in which loaders begin with them: the largest first, and none before those that it waits for. */
  flows: FlowForecast[];
  /** Over all that were measured. */
  measured: Omit<Measured, 'units'>;
  /** What an earlier run by a plan of this name took. */
  earlier?: EarlierRun;
}

/** Seconds that measuring takes in all, about. */
const measuringSeconds = 1;
/** Batches that a loader copies at once where nothing says otherwise. */
const slotsOfLoader = 2;
/** As many recent batches as the scheduler goes by. */
const recentBatches = 8;

/** Cuts a flow as the scheduler would, were each block to cost what the measured ones did. */
function countBatches(plan: ResolvedPlan, estimate: Estimate, measured: Measured): number {
  const { settings } = plan;
  const { batchSeconds, maxBatchMb } = effectiveSettings(settings, {});
  const recent: MeasuredBatch[] = [];
  let cut = estimate.cut;
  for (let batches = 1; ; batches++) {
    const blocks = nextBatchBlocks({
      recent: recent.slice(-recentBatches),
      startBlocks: Math.ceil(settings.batchSize / cut.rowsPerBlock),
      remainingBlocks: remainingBlocks(cut),
      tooManyBlocks: null,
      slots: settings.parallelWorkers * slotsOfLoader,
      aim: { seconds: batchSeconds.value, bytes: maxBatchMb.value * 1024 * 1024 },
    });
    const share = blocks / measured.units;
    recent.push({ blocks, seconds: measured.seconds * share, bytes: measured.bytes * share });
    const next = cutBatch(cut, blocks);
    if (next.done) return batches;
    cut = next.cut;
  }
}

/** What the plan calls a flow, or those that are read with it. */
const calledBy = ({ name, readWith }: ResolvedFlow): string => readWith?.flow ?? name;

function forecastOf(
  plan: ResolvedPlan,
  leader: ResolvedFlow,
  estimate: Estimate,
  reading: Reading,
): FlowForecast {
  const units = estimate.cut.blocks.reduce((sum, blocks) => sum + blocks, 0);
  const flow = {
    flow: calledBy(leader),
    waitsFor: waitsFor(plan, leader).map((name) =>
      calledBy(plan.flows.find((other) => other.name === name)!),
    ),
    rows: estimate.estimatedRows,
    bytes: estimate.estimatedBytes,
    reading,
  };
  if (reading.kind === 'none')
    return { ...flow, ...(units <= 1 && { batches: Math.max(1, leader.leaves.length) }) };
  const seconds = (reading.seconds * units) / reading.units;
  const rows = (reading.rows * units) / reading.units;
  return { ...flow, rows, seconds, batches: countBatches(plan, estimate, reading) };
}

/** The largest first, as far as none comes before what it waits for. */
function inOrder(flows: FlowForecast[]): FlowForecast[] {
  const ordered: FlowForecast[] = [];
  const left = [...flows];
  while (left.length > 0) {
    const isReady = ({ waitsFor }: FlowForecast) =>
      waitsFor.every((name) => !left.some(({ flow }) => flow === name));
    const [next] = left.splice(Math.max(0, left.findIndex(isReady)), 1);
    ordered.push(next!);
  }
  return ordered;
}

/** What a run's flows are estimated to be. `source` is in a read-only transaction with the plan's search_path. */
export async function estimatePlan(source: Session, plan: ResolvedPlan): Promise<Estimate[]> {
  const estimates: Estimate[] = [];
  for (const flow of plan.flows) estimates.push(await estimateFlow(source, flow));
  return estimates;
}

/**
 * Says what copying will come to, from parts of each flow that are read on the source for about a second in all, and from what an earlier
 * run took. Only reads; `source` as for `estimatePlan`.
 */
export async function forecast(
  source: Session,
  target: Session,
  plan: ResolvedPlan,
  estimates: Estimate[],
): Promise<Forecast> {
  const leaders = plan.flows
    .map((flow, i) => ({ flow, estimate: estimates[i]! }))
    .filter(({ flow }) => leaderOf(flow) === flow.name)
    .toSorted((a, b) => b.estimate.estimatedBytes - a.estimate.estimatedBytes);
  const bytes = leaders.reduce((sum, { estimate }) => sum + estimate.estimatedBytes, 0);
  const measured = { rows: 0, bytes: 0, seconds: 0 };
  const flows: FlowForecast[] = [];
  for (const { flow, estimate } of leaders) {
    const share = bytes === 0 ? 0 : estimate.estimatedBytes / bytes;
    const reading = await measureReading(source, plan, flow, estimate, measuringSeconds * share);
    if (reading.kind === 'measured')
      for (const key of ['rows', 'bytes', 'seconds'] as const) measured[key] += reading[key];
    const rows = readTogether(plan, flow).map(({ name }) => estimates.find((each) => each.name === name)!);
    const most = Math.max(...rows.map(({ estimatedRows }) => estimatedRows));
    flows.push(forecastOf(plan, flow, { ...estimate, estimatedRows: most }, reading));
  }
  const earlier = await readEarlierRun(target, plan.name);
  return { flows: inOrder(flows), measured, ...(earlier && { earlier }) };
}
