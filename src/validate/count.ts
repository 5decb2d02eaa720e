import { display } from '../pg/quote.ts';
import { flowsInto } from './comparison.ts';
import type { CheckContext } from './run-check.ts';
import { countOutputs } from './source-counts.ts';
import { countTarget } from './target-rows.ts';
import type { CheckOutcome, CheckSpec } from './types.ts';

/** Rows that all flows yield for a target table = rows it holds, less those it held before the run. */
export async function checkCount(
  ctx: CheckContext,
  spec: Extract<CheckSpec, { check: 'count' }>,
): Promise<CheckOutcome> {
  const name = display(spec.relation);
  const before = ctx.before[name] ?? 0;
  let expected = 0;
  for (const flow of flowsInto(ctx.plan, spec.relation)) {
    ctx.signal?.throwIfAborted();
    expected += await countOutputs(ctx.source, flow);
  }
  const held = await countTarget(ctx.target, spec.relation);
  const evidence = { expected, held, before };
  if (held - before === expected) return { rows: expected, findings: [], evidence };
  const since = before === 0 ? '' : `, ${before} of them from before the run`;
  const summary = `${name}: the source yields ${expected} rows, the target holds ${held}${since}`;
  return {
    rows: expected,
    findings: [{ check: 'count', relation: spec.relation, summary, details: [] }],
    evidence,
  };
}
