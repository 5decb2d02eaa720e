import { ownRows } from '../copy/derive/own-rows.ts';
import { RowfleetError, usageError } from '../errors.ts';
import { readCancelledFlows, readOpenFlows, readRowsBefore } from '../ledger/flows.ts';
import { insertReload, withdrawReloads } from '../ledger/requeue.ts';
import { type FlowStanding, readStanding, reloadBatches } from '../ledger/revisions.ts';
import { type Run, setMended, setPhase } from '../ledger/runs.ts';
import { display } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { PlanChange } from '../plan/compare-plans.ts';
import type { ResolvedFlow, ResolvedPlan } from '../plan/resolved-plan.ts';
import { restarting } from '../plan/restarting.ts';
import { leaderOf, readTogether } from '../plan/statements/select.ts';
import { heldBefore, startAgain } from '../run/start-again.ts';
import { verifyAnew } from './resume.ts';

/** What a revision means for the rows of a flow that were loaded by the plan before it. */
export interface FlowConsequence {
  flow: string;
  /**
   * `nothing`: none were loaded, or they are what the new plan yields. `reload`: all of the flow is loaded again, where it
   * differs. `batches`: so is each batch that is done. `restart`: its table is emptied, and copying begins anew.
   */
  kind: 'nothing' | 'reload' | 'batches' | 'restart';
  standing: FlowStanding;
  /** Flows that start again with it: they fill the same table, are read with it, or have looked up values in it. */
  together: string[];
}

const refused = (flow: string, reason: string, next: string) =>
  usageError('REVISION_REFUSED', `flow ${flow} cannot be revised: ${reason}`, next);

/** Whether all was copied before, so that loaded rows can be told from others by what the source yields. */
async function isComplete(tx: Session, run: Run): Promise<boolean> {
  if (run.phase === 'preflight' || run.phase === 'prepare') return false;
  return run.phase !== 'copy' || (await readOpenFlows(tx, run.id)).length === 0;
}

/** Whether a flow's loaded rows may be loaded again as `scope`; the reason where not. */
function refusalOf(
  plan: ResolvedPlan,
  flow: ResolvedFlow,
  scope: 'batch' | 'whole',
  before: Record<string, number>,
) {
  try {
    for (const each of readTogether(plan, flow))
      ownRows(plan, each, scope, before[display(each.target)] ?? 0);
    return undefined;
  } catch (error) {
    if (error instanceof RowfleetError && error.code === 'RELOAD_REFUSED') return error;
    throw error;
  }
}

/** Decides what is to become of a flow's loaded rows. Throws REVISION_REFUSED and RUN_BUSY where nothing can. */
async function consequenceOf(
  tx: Session,
  run: Run,
  plan: ResolvedPlan,
  flow: string,
  rows: PlanChange['rows'],
): Promise<FlowConsequence> {
  const standing = await readStanding(tx, run.id, flow);
  if (rows === 'same' || !standing.loaded) return { flow, kind: 'nothing', standing, together: [] };
  if (run.state === 'running' && run.phase !== 'copy')
    throw usageError(
      'RUN_BUSY',
      `run ${run.id} is in phase ${run.phase}, and flow ${flow} would have to be loaded again`,
      'wait until the run has ended, then revise its plan',
    );
  if ((await readCancelledFlows(tx, run.id)).includes(flow))
    throw refused(flow, 'it was cancelled', 'take it up again with `rowfleet resume --flow`');
  const resolved = plan.flows.find(({ name }) => name === flow)!;
  const before = await readRowsBefore(tx, run.id);
  if (await isComplete(tx, run)) {
    const refusal = refusalOf(plan, resolved, 'whole', before);
    if (refusal === undefined) return { flow, kind: 'reload', standing, together: [] };
    throw refused(flow, refusal.message, 'cancel the run and start anew');
  }
  if (rows === 'values' && refusalOf(plan, resolved, 'batch', before) === undefined)
    return { flow, kind: 'batches', standing, together: [] };
  const again = restarting(plan, [flow]);
  const held = heldBefore(again, before);
  if (held !== undefined) {
    const table = display(held.target);
    throw refused(
      flow,
      `${table} held ${before[table]} rows before this run, so it cannot be emptied`,
      'wait until everything is copied, or cancel the run',
    );
  }
  const together = again.map(({ name }) => name).filter((name) => name !== flow);
  return { flow, kind: 'restart', standing, together };
}

const severity = { same: 0, values: 1, keys: 2 } as const;

/** What a revision means, flow by flow; flows that it does not touch are left out. */
export async function consequencesOf(
  tx: Session,
  run: Run,
  plan: ResolvedPlan,
  changes: PlanChange[],
): Promise<FlowConsequence[]> {
  const worst = new Map<string, PlanChange['rows']>();
  for (const { flow: changed, rows } of changes) {
    if (changed === null) continue;
    // What is read together has batches in common.
    const flow = leaderOf(plan.flows.find(({ name }) => name === changed)!);
    const known = worst.get(flow) ?? 'same';
    worst.set(flow, severity[rows] > severity[known] ? rows : known);
  }
  const consequences: FlowConsequence[] = [];
  for (const [flow, rows] of worst) consequences.push(await consequenceOf(tx, run, plan, flow, rows));
  return consequences;
}

/** Makes it so, in the transaction that revises the plan and holds its flows; the run does the work when it goes on. */
export async function applyConsequences(
  tx: Session,
  run: Run,
  plan: ResolvedPlan,
  consequences: FlowConsequence[],
): Promise<void> {
  const of = (kind: FlowConsequence['kind']) => consequences.filter((each) => each.kind === kind);
  const again = restarting(
    plan,
    of('restart').map(({ flow }) => flow),
  );
  if (again.length > 0) await startAgain(tx, run.id, plan, again);
  for (const { flow } of of('batches')) await reloadBatches(tx, run.id, flow);
  const reloads = of('reload');
  for (const { flow } of reloads) {
    const target = display(plan.flows.find(({ name }) => name === flow)!.target);
    await withdrawReloads(tx, run.id, flow);
    await insertReload(tx, run.id, { name: flow, target }, { scope: 'whole' });
  }
  if (reloads.length === 0) return;
  await setMended(tx, run.id);
  await verifyAnew(tx, run);
  await setPhase(tx, run.id, 'copy');
}
