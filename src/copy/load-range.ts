import { landingIn } from '../ledger/candidates.ts';
import type { ClaimedTask } from '../ledger/claim.ts';
import { isRefusal } from '../pg/failure-class.ts';
import type { RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedFlow, ResolvedPlan } from '../plan/resolved-plan.ts';
import { copyOutOfAll, copyOutStatement, type Range, readTogether } from '../plan/statements/select.ts';
import { stageFor } from '../transform/batch.ts';
import type { Transforms } from '../transform/transform.ts';
import { type PumpOutcome, pump } from '../wire/pump.ts';
import { relay, tryRelay } from '../wire/relay.ts';
import type { RelayTally } from '../wire/relay-types.ts';
import { Splitter } from '../wire/split.ts';
import { underBothSavepoints } from './both-savepoints.ts';
import { type Landing, landingOf } from './landing.ts';

/** Both sessions are in the batch's transactions. */
export interface LoadContext {
  plan: ResolvedPlan;
  claim: Pick<ClaimedTask, 'runId'>;
  /** The flow; of several that are read together, the first. */
  flow: ResolvedFlow;
  transforms: Transforms;
  source: Session;
  target: Session;
  signal: AbortSignal;
  /** Hears of every chunk. */
  onBytes: (bytes: number) => void;
  /** Where the rows of a flow that is read by itself come down. Defaults to its table, or its candidates. */
  into?: RelationName;
}

/** Rows that the source yielded and the target took, over all outputs. */
export interface LoadTally extends RelayTally {
  /** By flow, where several are read together. */
  outputs?: Record<string, { rowsOut: number; rowsIn: number }>;
}

export type LoadOutcome =
  | ({ kind: 'copied' } & LoadTally)
  | { kind: 'refused'; side: 'source' | 'target'; error: Error };

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);

/** One output: byte for byte, or through its transform, which then knows refused rows by where their driving rows stand. */
async function pass(
  ctx: LoadContext,
  landing: Landing,
  range: Range,
  tolerant: boolean,
): Promise<PumpOutcome> {
  const { source, target, signal, onBytes } = ctx;
  const { flow, statement, binary } = landing;
  const before = flow.transform && tolerant && range.leaf?.hasCtid ? [`${flow.alias}.ctid`] : [];
  const through = stageFor(ctx.transforms, flow, { signal, before: before.length, gather: tolerant });
  const sides = [
    { session: source, statement: copyOutStatement(flow, range, before) },
    { session: target, statement, ...(binary === undefined ? {} : { binary }) },
    { signal, onBytes, through },
  ] as const;
  const outcome = tolerant
    ? await tryRelay(...sides)
    : { kind: 'copied' as const, ...(await relay(...sides)) };
  if (outcome.kind === 'refused') return outcome;
  const { rowsOut, rowsIn, bytes } = outcome;
  return { kind: 'copied', outputs: [{ rowsOut, rowsIn }], bytes };
}

/** Several outputs out of one COPY of the source. */
function split(ctx: LoadContext, landings: Landing[], range: Range, tolerant: boolean): Promise<PumpOutcome> {
  const { source, target, signal, onBytes } = ctx;
  const flows = landings.map(({ flow }) => flow);
  const { statement, parts, format } = copyOutOfAll(flows, range);
  return pump(
    { session: source, statement },
    new Splitter(parts, format),
    { session: target, inlets: landings.map((landing) => ({ statement: landing.statement, format })) },
    { signal, onBytes, tolerant },
  );
}

async function closeAll(
  ctx: LoadContext,
  landings: Landing[],
  outcome: PumpOutcome,
  tolerant: boolean,
): Promise<LoadOutcome> {
  if (outcome.kind === 'refused') return outcome;
  const outputs: NonNullable<LoadTally['outputs']> = {};
  try {
    for (const [i, { rowsOut, rowsIn }] of outcome.outputs.entries()) {
      const landing = landings[i]!;
      const brought = rowsIn === rowsOut ? await landing.close(ctx.target) : undefined;
      outputs[landing.flow.name] = { rowsOut, rowsIn: brought ?? rowsIn };
    }
  } catch (error) {
    if (tolerant && isRefusal(error)) return { kind: 'refused', side: 'target', error: error as Error };
    throw error;
  }
  const all = Object.values(outputs);
  return {
    kind: 'copied',
    rowsOut: sum(all.map(({ rowsOut }) => rowsOut)),
    rowsIn: sum(all.map(({ rowsIn }) => rowsIn)),
    bytes: outcome.bytes,
    ...(landings.length === 1 ? {} : { outputs }),
  };
}

async function load(ctx: LoadContext, range: Range, tolerant: boolean): Promise<LoadOutcome> {
  const landings = readTogether(ctx.plan, ctx.flow).map((flow, i) =>
    landingOf(flow, ctx.into ?? landingIn(ctx.claim.runId, ctx.plan, flow.target), i + 1),
  );
  for (const landing of landings) await landing.open(ctx.target);
  const outcome =
    landings.length === 1
      ? await pass(ctx, landings[0]!, range, tolerant)
      : await split(ctx, landings, range, tolerant);
  return closeAll(ctx, landings, outcome, tolerant);
}

/** Copies a range of a flow's driving rows, and of those read together with it. Where anything is refused it throws. */
export async function loadRange(ctx: LoadContext, range: Range): Promise<LoadTally> {
  const outcome = await load(ctx, range, false);
  if (outcome.kind === 'refused') throw outcome.error;
  const { kind: _, ...tally } = outcome;
  return tally;
}

/** Like `loadRange`, but a refusal undoes no more than itself, on either side. Throws what is no row's fault. */
export function tryLoadRange(ctx: LoadContext, range: Range): Promise<LoadOutcome> {
  return underBothSavepoints(ctx.source, ctx.target, () => load(ctx, range, true));
}
