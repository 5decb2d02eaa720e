import { barrier } from '../barrier.ts';
import { takeDown } from '../constraints/apply.ts';
import { capture as captureTarget } from '../constraints/capture.ts';
import { estimateFlow } from '../copy/estimate.ts';
import { insertFlow, readFlows } from '../ledger/flows.ts';
import { insertObjects, readObjects, setObjectState } from '../ledger/objects.ts';
import { recordEvent, setWaiting } from '../ledger/runs.ts';
import { display, qualified, type RelationName } from '../pg/quote.ts';
import { openSession, type Session, withSession } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import type { PhaseResult, RunContext } from './context.ts';

/** Rows that a target table holds before the run; an empty one, the usual case, costs one look. */
async function countRows(target: Session, relation: RelationName): Promise<number> {
  const { rowCount } = await target.query(`select 1 from ${qualified(relation)} limit 1`);
  if (rowCount === 0) return 0;
  const { rows } = await target.query(`select count(*)::float8 as n from ${qualified(relation)}`);
  return rows[0].n;
}

/** Measures source and target and writes down, in one transaction, what will be copied and taken down. */
async function capture(ctx: RunContext): Promise<void> {
  const { plan, id } = ctx.run;
  const source = await openSession(ctx.source, 'rowfleet scheduler');
  try {
    const estimates = await inTransaction(
      source,
      'repeatable read, read only',
      async () => {
        const all = [];
        for (const flow of plan.flows) all.push(await estimateFlow(source, flow));
        return all;
      },
      { searchPath: plan.source.searchPath },
    );
    await inTransaction(ctx.ledger, 'read committed', async () => {
      const before = new Map<string, number>();
      for (const target of plan.targets) before.set(display(target), await countRows(ctx.ledger, target));
      const targets = plan.targets.map((target) => ({
        ...target,
        nonEmpty: before.get(display(target))! > 0,
      }));
      const { objects, kept } = await captureTarget(ctx.ledger, targets);
      await insertObjects(ctx.ledger, id, objects);
      for (const object of kept) {
        const what = `${object.kind} ${object.name} on ${display(object.relation)}`;
        await recordEvent(ctx.ledger, id, 'scheduler', `${what} stays up: ${object.reason}`);
      }
      for (const [ordinal, estimate] of estimates.entries()) {
        const targetRowsBefore = before.get(estimate.target) ?? 0;
        await insertFlow(ctx.ledger, id, ordinal, { ...estimate, targetRowsBefore });
      }
    });
  } finally {
    await source.end().catch(() => {});
  }
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
    await withSession(ctx.target, (session) =>
      takeDown(session, object.captured, {
        signal: ctx.signal,
        within: (tx) => setObjectState(tx, object.id, 'down'),
        onWait: (reason) => void setWaiting(ctx.target, id, reason).catch(() => {}),
      }),
    );
  }
  return 'next';
}
