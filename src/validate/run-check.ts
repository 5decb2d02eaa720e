import { display } from '../pg/quote.ts';
import { inTransaction } from '../pg/transaction.ts';
import type { ResolvedFlow, ResolvedPlan } from '../plan/resolved-plan.ts';
import { leaderOf } from '../plan/statements/select.ts';
import { withoutRows } from '../plan/statements/without-rows.ts';
import { TransformRefused, TransformUnstable } from '../transform/errors.ts';
import { checkAccounting } from './accounting.ts';
import { checkBackfill } from './backfill.ts';
import type { CheckContext } from './check-context.ts';
import { checkCount } from './count.ts';
import { checkDigest } from './digest.ts';
import { needsTarget, withExpected } from './expected-rows.ts';
import { checkDuplicates, checkOrphans } from './relationships.ts';
import type { CheckOutcome, CheckSpec } from './types.ts';

function check(ctx: CheckContext, spec: CheckSpec): Promise<CheckOutcome> {
  switch (spec.check) {
    case 'accounting':
      return checkAccounting(ctx, spec);
    case 'count':
      return checkCount(ctx, spec);
    case 'backfill':
      return checkBackfill(ctx, spec);
    case 'digest':
      return checkDigest(ctx, spec);
    case 'orphans':
      return checkOrphans(ctx, spec);
    case 'duplicates':
      return checkDuplicates(ctx, spec);
  }
}

/** The plan without the driving rows that are in quarantine. */
async function withoutExcluded({ source, plan, excluded = {} }: CheckContext): Promise<ResolvedPlan> {
  const flows: ResolvedFlow[] = [];
  for (const flow of plan.flows) {
    // What is updated in place is read in the target alone.
    const rows = flow.backfill === undefined ? excluded[leaderOf(flow)] : undefined;
    flows.push(rows === undefined ? flow : await withoutRows(source, flow, rows));
  }
  return { ...plan, flows };
}

/** What a transform does with rows of the source as they are now is a finding. */
function findingOfTransform(
  spec: Extract<CheckSpec, { check: 'digest' | 'count' }>,
  error: unknown,
): CheckOutcome {
  if (!(error instanceof TransformRefused || error instanceof TransformUnstable)) throw error;
  const { check, relation } = spec;
  const summary = `${display(relation)}: called again, ${error.message}`;
  return { rows: 0, findings: [{ check, relation, summary, details: [] }], evidence: {} };
}

/**
 * Makes one check in a fresh read-only snapshot of each side, so that rows which were written after the copy are
 * found. Returns what is wrong as findings; throws what the servers throw, and the signal's reason.
 */
export async function runCheck(ctx: CheckContext, spec: CheckSpec): Promise<CheckOutcome> {
  ctx.signal?.throwIfAborted();
  const mode = 'repeatable read, read only';
  const checkNarrowed = async () => {
    const plan = await withoutExcluded(ctx);
    const inSnapshot = () => inTransaction(ctx.target, mode, () => check({ ...ctx, plan }, spec));
    const compares = spec.check === 'digest' || spec.check === 'count';
    if (!compares || !needsTarget(plan, spec.relation)) return inSnapshot();
    return withExpected(ctx.target, plan, spec.relation, () =>
      inSnapshot().catch((error) => findingOfTransform(spec, error)),
    );
  };
  return inTransaction(ctx.source, mode, checkNarrowed, { searchPath: ctx.plan.source.searchPath });
}
