import { countFindings } from '../ledger/findings.ts';
import { readFlows } from '../ledger/flows.ts';
import { readHolds } from '../ledger/holds.ts';
import { countQuarantined } from '../ledger/quarantine.ts';
import type { RecordedError } from '../ledger/recorded-error.ts';
import type { ReloadSpec } from '../ledger/reload.ts';
import { type Phase, type RunState, recordEvent, setPhase, setRunState } from '../ledger/runs.ts';
import { type BatchSpec, type FailedTask, readFailedTasks } from '../ledger/tasks.ts';
import { display } from '../pg/quote.ts';
import { isCutByKey, rangeColumnOf } from '../plan/statements/select.ts';
import { buildIndexes, buildPhase, planFinish } from './build.ts';
import { cancel } from './cancel.ts';
import type { PhaseResult, RunContext } from './context.ts';
import { copy } from './copy.ts';
import { findingsHint } from './findings-hint.ts';
import { asDriver } from './lead.ts';
import { prepare } from './prepare.ts';
import { closeKeeper } from './snapshot.ts';
import { passesGate, verify } from './verify.ts';
import { waitForWorkers } from './workers.ts';

async function index(ctx: RunContext): Promise<PhaseResult> {
  if (await buildIndexes(ctx, await readFlows(ctx.ledger, ctx.run.id))) return 'next';
  await waitForWorkers(ctx, 'loader');
  return 'stay';
}

async function finish(ctx: RunContext): Promise<PhaseResult> {
  await planFinish(ctx);
  return buildPhase(ctx, 'finish');
}

/** The order of a migration. `preflight` is over before a run is written. */
const phases: { phase: Phase; look: (ctx: RunContext) => Promise<PhaseResult> }[] = [
  { phase: 'prepare', look: prepare },
  { phase: 'copy', look: copy },
  { phase: 'index', look: index },
  { phase: 'verify', look: verify },
  { phase: 'constrain', look: (ctx) => buildPhase(ctx, 'constrain') },
  { phase: 'finish', look: finish },
];

/** What a batch read: where to look for the row that it failed on. */
function rangeOf({ run }: RunContext, failed: FailedTask): string {
  const spec = failed.spec as BatchSpec | ReloadSpec;
  if ('scope' in spec)
    return spec.scope === 'whole'
      ? ' (all of it)'
      : ` (keys from ${spec.from ?? 'the first'} to ${spec.to ?? 'the last'})`;
  const { leaf, fromBlock, toBlock } = spec;
  const flow = run.plan.flows.find(({ name }) => name === failed.flow);
  // The bounds are values of rows: whoever may read the ledger finds them there.
  if (flow && isCutByKey(flow)) {
    const column = rangeColumnOf(flow);
    return column === undefined
      ? ' (all of it)'
      : ` (ranges ${fromBlock} to ${toBlock ?? 'the last'} of ${column}; their bounds are in rowfleet.flow)`;
  }
  const relation = flow?.leaves[leaf];
  if (relation === undefined) return '';
  return ` (${display(relation)} from block ${fromBlock} to ${toBlock ?? 'its end'})`;
}

/** Ends a run that is still running, and says so in its events. */
async function endRun(
  ctx: RunContext,
  state: RunState,
  event: string,
  error: RecordedError | null = null,
): Promise<void> {
  await asDriver(ctx, async (tx) => {
    if (await setRunState(tx, ctx.run.id, ['running'], state, error))
      await recordEvent(tx, ctx.run.id, 'scheduler', event);
  });
}

async function endWithFailure(ctx: RunContext): Promise<boolean> {
  const [failed] = await readFailedTasks(ctx.ledger, ctx.run.id);
  if (failed === undefined) return false;
  const subject =
    failed.flow === null ? failed.relation : `${failed.flow} → ${failed.relation}${rangeOf(ctx, failed)}`;
  const what = failed.kind === 'mend' ? 'refused rows that were sent again, task' : failed.kind;
  const error = {
    ...failed.error,
    message: `${what} ${failed.id} of ${subject}: ${failed.error.message}`,
  };
  await closeKeeper(ctx);
  await endRun(ctx, 'failed', `failed: ${error.message}`, error);
  return true;
}

async function endWithFindings(ctx: RunContext): Promise<void> {
  const found = await countFindings(ctx.ledger, ctx.run.id);
  const summary = `finished with ${found} ${found === 1 ? 'finding' : 'findings'}`;
  await endRun(ctx, 'findings', summary, {
    code: 'FINDINGS',
    message: summary,
    hint: await findingsHint(ctx),
  });
}

/** Whether nothing may follow `phase`: a finding stops a run behind the validator and behind every build. */
async function isStoppedByFindings(ctx: RunContext, phase: Phase): Promise<boolean> {
  return ['verify', 'constrain', 'finish'].includes(phase) && !(await passesGate(ctx));
}

/** Everything that is in the target is as it should be; rows that are not keep the run from being verified. */
async function endWell(ctx: RunContext): Promise<void> {
  if ((await countFindings(ctx.ledger, ctx.run.id)) > 0) return endWithFindings(ctx);
  const held = await countQuarantined(ctx.ledger, ctx.run.id);
  if (held === 0) return endRun(ctx, 'verified', 'verified');
  const summary = `finished with ${held} ${held === 1 ? 'row' : 'rows'} in quarantine`;
  await endRun(ctx, 'quarantined', summary);
}

/** Whether the whole run is held back; notes what is, and why. */
async function isHeld(ctx: RunContext): Promise<boolean> {
  const holds = await readHolds(ctx.ledger, ctx.run.id);
  ctx.heldFlows = new Set(holds.flatMap(({ flow }) => flow ?? []));
  const whole = holds.filter(({ flow }) => flow === null);
  if (whole[0] === undefined) return false;
  ctx.waiting = whole[0].reason;
  if (whole.some(({ kind, cause }) => kind !== 'breaker' || cause !== 'failures')) return true;
  // One batch is tried, and needs the snapshot; nothing else is begun.
  ctx.heldFlows = new Set(ctx.run.plan.flows.map(({ name }) => name));
  return false;
}

/** Looks once at a run and does what is due. Call it again and again: all it knows is in the ledger. */
export async function advance(ctx: RunContext): Promise<void> {
  if (ctx.run.state === 'cancelling') return cancel(ctx);
  if (await endWithFailure(ctx)) return;
  if (await isHeld(ctx)) return;
  const at = phases.findIndex(({ phase }) => phase === ctx.run.phase);
  const step = phases[at]!;
  if ((await step.look(ctx)) === 'stay') return;
  if (await isStoppedByFindings(ctx, step.phase)) return endWithFindings(ctx);
  const next = phases[at + 1]?.phase;
  const last = next === undefined || (ctx.run.kind === 'validate' && step.phase === 'verify');
  if (last) return endWell(ctx);
  ctx.busy = true;
  await asDriver(ctx, async (tx) => {
    await setPhase(tx, ctx.run.id, next);
    await recordEvent(tx, ctx.run.id, 'scheduler', `phase ${next}`);
  });
  ctx.log('phase', { phase: next });
}
