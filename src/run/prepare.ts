import { barrier } from '../barrier.ts';
import { takeDown } from '../constraints/apply.ts';
import { capture as captureTarget } from '../constraints/capture.ts';
import { type Estimate, estimateFlow } from '../copy/estimate.ts';
import { insertFlow, readFlows } from '../ledger/flows.ts';
import { insertObjects, readObjects } from '../ledger/objects.ts';
import { recordEvent } from '../ledger/runs.ts';
import { display, qualified } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import type { ResolvedTarget } from '../plan/types.ts';
import type { PhaseResult, RunContext } from './context.ts';
import { asLeader, sayWaiting, settleObject } from './lead.ts';
import { withSource } from './source.ts';
import { withTarget } from './target.ts';

/** Rows that a target table holds before the run; an empty one, the usual case, costs one look. */
async function countRows(target: Session, relation: ResolvedTarget): Promise<number> {
  const from = `from ${relation.only ? 'only ' : ''}${qualified(relation)}`;
  const { rowCount } = await target.query(`select 1 ${from} limit 1`);
  if (rowCount === 0) return 0;
  const { rows } = await target.query(`select count(*)::float8 as n ${from}`);
  return rows[0].n;
}

function measure(ctx: RunContext): Promise<Estimate[]> {
  const { plan } = ctx.run;
  const estimateAll = async (source: Session) => {
    const estimates: Estimate[] = [];
    for (const flow of plan.flows) estimates.push(await estimateFlow(source, flow));
    return estimates;
  };
  const options = { searchPath: plan.source.searchPath };
  return withSource(ctx, (source) =>
    inTransaction(source, 'repeatable read, read only', () => estimateAll(source), options),
  );
}

/** Writes down, in one transaction, what will be copied, what will be taken down, and what stays up and why. */
async function capture(ctx: RunContext): Promise<void> {
  const { plan, id } = ctx.run;
  const estimates = await measure(ctx);
  await asLeader(ctx, async (tx) => {
    const before = new Map<string, number>();
    for (const target of plan.targets) before.set(display(target), await countRows(tx, target));
    const targets = plan.targets.map((target) => ({ ...target, nonEmpty: before.get(display(target))! > 0 }));
    const { objects, kept } = await captureTarget(tx, targets);
    await insertObjects(tx, id, objects);
    for (const { kind, name, relation, reason } of kept) {
      const what = `${kind} ${name} on ${display(relation)} stays up: ${reason}`;
      await recordEvent(tx, id, 'scheduler', what);
    }
    for (const [ordinal, estimate] of estimates.entries()) {
      const targetRowsBefore = before.get(estimate.target) ?? 0;
      await insertFlow(tx, id, ordinal, { ...estimate, targetRowsBefore });
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
