import { safeMessage } from '../pg/errors.ts';
import { classify } from '../pg/failure-class.ts';
import { display } from '../pg/quote.ts';
import { setSearchPath, underSavepoint } from '../pg/transaction.ts';
import { countOutputs } from '../plan/count/source-counts.ts';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';
import { planQuery } from '../plan/sql/query.ts';
import { backfillDifferences } from '../plan/statements/backfill.ts';
import { withoutRows } from '../plan/statements/without-rows.ts';
import type { CheckContext } from './check-context.ts';
import { excerpt, excerpts } from './excerpt.ts';
import { flowNamed } from './flow-named.ts';
import type { CheckOutcome, CheckSpec, Finding, FindingDetail } from './types.ts';

/** Differing rows that a finding shows. */
const shown = 10;

async function findDetails(ctx: CheckContext, flow: ResolvedFlow): Promise<FindingDetail[]> {
  const { key } = flow.backfill!;
  const { rows } = await planQuery<Record<string, string | null>>(
    ctx.target,
    `${backfillDifferences(flow)} limit ${shown}`,
  );
  return rows.flatMap((row) =>
    flow.columns.flatMap(({ name }, i): FindingDetail[] => {
      const [expected, found] = [row[`w${i + 1}`] ?? null, row[`t${i + 1}`] ?? null];
      if (expected === found) return [];
      const values = key.map((column, k) => [column, excerpt(row[`k${k + 1}`] ?? null)]);
      return [
        { key: Object.fromEntries(values), column: name, problem: 'different', ...excerpts(expected, found) },
      ];
    }),
  );
}

/** Each row that the mapping yields holds what it says, in one snapshot of the database that both sides are. */
export async function checkBackfill(
  ctx: CheckContext,
  spec: Extract<CheckSpec, { check: 'backfill' }>,
): Promise<CheckOutcome> {
  const whole = flowNamed(ctx.plan, spec.flow);
  const relation = whole.target;
  await setSearchPath(ctx.target, ctx.plan.target.searchPath);
  const excluded = ctx.excluded?.[whole.name];
  const flow = excluded === undefined ? whole : await withoutRows(ctx.target, whole, excluded);
  const rows = await countOutputs(ctx.target, flow);
  const copied = ctx.cancelled?.[flow.name];
  if (copied !== undefined) {
    const summary = `flow ${flow.name} was cancelled with ${Math.max(0, rows - copied)} of ${rows} rows not updated`;
    return {
      rows,
      findings: [{ check: 'cancelled', relation, summary, details: [] }],
      evidence: { rows, copied },
    };
  }
  const isOfRow = (error: unknown) => classify(error, 'target') === 'row';
  const outcome = await underSavepoint(ctx.target, isOfRow, () =>
    planQuery<{ n: string }>(
      ctx.target,
      `select pg_catalog.count(*) as n from (${backfillDifferences(flow)}) as d`,
    ),
  );
  if (outcome.kind === 'undone') {
    // The application goes on writing: the run is not to fail for its rows.
    const summary = `${display(relation)}: what flow ${flow.name} says cannot be computed for rows that were written since (${safeMessage(outcome.error)}); requeue --reload --flow sets them aside`;
    return { rows, findings: [{ check: 'backfill', relation, summary, details: [] }], evidence: { rows } };
  }
  const different = Number(outcome.value.rows[0]!.n);
  const findings: Finding[] = [];
  if (different > 0) {
    const summary = `${display(relation)}: ${different} of ${rows} rows do not hold what flow ${flow.name} says; rows that were written since are updated with requeue --reload --flow`;
    findings.push({ check: 'backfill', relation, summary, details: await findDetails(ctx, flow) });
  }
  return { rows, findings, evidence: { rows, different, quarantined: excluded?.keys.length ?? 0 } };
}
