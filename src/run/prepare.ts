import { barrier } from '../barrier.ts';
import { takeDown } from '../constraints/apply.ts';
import { type Capture, capture as captureTarget } from '../constraints/capture.ts';
import { namingHolders } from '../constraints/lock-holders.ts';
import type { CapturedObject } from '../constraints/types.ts';
import { type Estimate, estimateFlow } from '../copy/estimate.ts';
import { candidateTables, createCandidates } from '../ledger/candidates.ts';
import { insertFlow, readFlows } from '../ledger/flows.ts';
import { insertObjects, readObjects } from '../ledger/objects.ts';
import { recordEvent } from '../ledger/runs.ts';
import { display, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import type { ResolvedFlow, ResolvedPlan } from '../plan/resolved-plan.ts';
import { flowsInto, fuseStatements } from '../plan/statements/fuse.ts';
import { waitsFor } from '../plan/waits.ts';
import type { PhaseResult, RunContext } from './context.ts';
import { asDriver, sayWaiting, settleObject } from './lead.ts';
import { withSource } from './source.ts';
import { withTarget } from './target.ts';
import { countRows } from './target-rows.ts';

function measure(ctx: RunContext): Promise<Estimate[]> {
  const { plan } = ctx.run;
  const estimateAll = async (source: Session) => {
    const estimates: Estimate[] = [];
    for (const flow of plan.flows)
      estimates.push(await namingHolders(source, flow.reads, 'read', () => estimateFlow(source, flow)));
    return estimates;
  };
  const options = { searchPath: plan.source.searchPath };
  return withSource(ctx, (source) =>
    inTransaction(source, 'repeatable read, read only', () => estimateAll(source), options),
  );
}

/** What the target holds before the run, by table, and what stands there that slows loading. */
function look(ctx: RunContext): Promise<{ before: Map<string, number>; found: Capture }> {
  const { targets, flows } = ctx.run.plan;
  const maps = flows
    .filter(({ idMap }) => idMap !== undefined)
    .map(({ target }) => ({ ...target, only: true }));
  const lookAt = async (target: Session) => {
    const before = new Map<string, number>();
    for (const table of [...targets, ...maps]) before.set(display(table), await countRows(target, table));
    const counted = targets.map((table) => ({ ...table, nonEmpty: before.get(display(table))! > 0 }));
    const found = await namingHolders(target, targets, 'read', () => captureTarget(target, counted));
    return { before, found };
  };
  return withTarget(ctx, (target) =>
    inTransaction(target, 'read committed, read only', () => lookAt(target)),
  );
}

/** Rows that one statement fuses: a table of more is fused by parts of its keys, side by side. */
const rowsAtOnce = 2_000_000;
const mostParts = 16;

/** What is to be done with candidates before anything is built on their target table. */
export function fusions(runId: string, plan: ResolvedPlan, estimates: Estimate[]): CapturedObject[] {
  return candidateTables(runId, plan).flatMap(({ relation, candidates }) => {
    const into = estimates.filter(({ target }) => target === display(relation));
    const rows = into.reduce((sum, { estimatedRows }) => sum + estimatedRows, 0);
    const of = hashable(plan, relation)
      ? Math.min(mostParts, 2 ** Math.ceil(Math.log2(Math.max(1, rows / rowsAtOnce))))
      : 1;
    return Array.from({ length: of }, (_, number): CapturedObject => {
      const bucket = of === 1 ? undefined : { number, of };
      return {
        ...{ kind: 'fusion', relation, phase: 'index', order: -1, takeDown: [] },
        name: of === 1 ? relation.name : `${relation.name} (${number + 1} of ${of})`,
        bringBack: fuseStatements(plan, relation, qualified(candidates), bucket),
      };
    });
  });
}

/** Whether the keys of a table that is fused have a hash that the validator trusts, too. */
function hashable(plan: ResolvedPlan, relation: RelationName): boolean {
  const [flow] = flowsInto(plan, relation) as [ResolvedFlow];
  return flow.fusion!.key.every(
    (name) => flow.columns.find((column) => column.name === name)?.digest !== 'text',
  );
}

/** Writes down, in one transaction, what will be copied, what will be taken down, and what stays up and why. */
async function capture(ctx: RunContext): Promise<void> {
  const { id, plan } = ctx.run;
  const estimates = await measure(ctx);
  const { before, found } = await look(ctx);
  await asDriver(ctx, async (tx) => {
    await createCandidates(tx, id, plan);
    await insertObjects(tx, id, [...fusions(id, plan, estimates), ...found.objects]);
    for (const { kind, name, relation, reason } of found.kept) {
      const what = `${kind} ${name} on ${display(relation)} stays up: ${reason}`;
      await recordEvent(tx, id, 'scheduler', what);
    }
    for (const [ordinal, estimate] of estimates.entries()) {
      const targetRowsBefore = before.get(estimate.target) ?? 0;
      const waits = waitsFor(plan, plan.flows.find(({ name }) => name === estimate.name)!);
      await insertFlow(tx, id, ordinal, { ...estimate, targetRowsBefore, waitsFor: waits });
    }
  });
}

/**
 * Captures what slows loading, with its undo, and takes it down, each object in a transaction with its ledger
 * row. Goes on where an earlier scheduler stopped.
 */
export async function prepare(ctx: RunContext): Promise<PhaseResult> {
  const { id } = ctx.run;
  if ((await readFlows(ctx.ledger, id)).length === 0) await capture(ctx);
  const objects = (await readObjects(ctx.ledger, id)).filter((object) => object.state === 'captured');
  // The last to come back is the first to go: foreign keys before the keys they need.
  for (const object of objects.reverse()) {
    ctx.signal.throwIfAborted();
    await barrier('prepare.take-down');
    await withTarget(ctx, (session) =>
      takeDown(session, object.captured, {
        signal: ctx.signal,
        within: (tx) => settleObject(ctx, tx, object.id, 'down'),
        onWait: (reason) => sayWaiting(ctx, reason),
      }),
    );
  }
  return 'next';
}
