import { display, type RelationName } from '../pg/quote.ts';
import { countOutputs } from '../plan/count/source-counts.ts';
import { planQuery } from '../plan/sql/query.ts';
import { flowsInto } from '../plan/statements/fuse.ts';
import type { CheckContext } from './check-context.ts';
import { fillExpected, needsTarget } from './expected-rows.ts';
import { countTarget } from './target-rows.ts';
import type { CheckOutcome, CheckSpec } from './types.ts';

/** Rows that a table should hold by what is put together in the target. */
async function countExpected(ctx: CheckContext, relation: RelationName): Promise<number> {
  const from = await fillExpected(ctx, relation);
  const { rows } = await planQuery<{ n: string }>(
    ctx.target,
    `select pg_catalog.count(*) as n from ${from} as e`,
  );
  const edited = flowsInto(ctx.plan, relation).reduce(
    (sum, { name }) => sum + (ctx.edited?.[name]?.length ?? 0),
    0,
  );
  return Number(rows[0]!.n) + edited;
}

/**
 * Rows that the mapping yields for a target table, and those that people edited. After a copy these are what the loaders wrote, since the accounting
 * of each flow holds that against the source; else the source is counted.
 */
async function expectedRows(ctx: CheckContext, relation: RelationName): Promise<number> {
  if (needsTarget(ctx.plan, relation)) return countExpected(ctx, relation);
  let expected = 0;
  for (const flow of flowsInto(ctx.plan, relation)) {
    ctx.signal?.throwIfAborted();
    expected += ctx.edited?.[flow.name]?.length ?? 0;
    const loaded = ctx.loaded?.[flow.name];
    if (loaded !== undefined) expected += loaded.rowsIn + (loaded.rowsMended ?? 0);
    else if (ctx.loaded === undefined) expected += await countOutputs(ctx.source, flow);
  }
  return expected;
}

/** Rows that all flows yield for a target table = rows it holds, less those it held before the run. */
export async function checkCount(
  ctx: CheckContext,
  spec: Extract<CheckSpec, { check: 'count' }>,
): Promise<CheckOutcome> {
  const name = display(spec.relation);
  const before = ctx.before[name] ?? 0;
  const expected = await expectedRows(ctx, spec.relation);
  const held = await countTarget(ctx.target, spec.relation);
  const evidence = { expected, held, before };
  if (held - before === expected) return { rows: expected, findings: [], evidence };
  const since = before === 0 ? '' : `, ${before} of them from before the run`;
  const origin =
    ctx.loaded && !needsTarget(ctx.plan, spec.relation) ? 'the loaders wrote' : 'the source yields';
  const summary = `${name}: ${origin} ${expected} rows, the target holds ${held}${since}`;
  return {
    rows: expected,
    findings: [{ check: 'count', relation: spec.relation, summary, details: [] }],
    evidence,
  };
}
