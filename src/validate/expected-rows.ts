import { display, ident, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import { writtenTransform } from '../plan/read/transform.ts';
import type { ResolvedFlow, ResolvedPlan } from '../plan/resolved-plan.ts';
import { planQuery } from '../plan/sql/query.ts';
import { createLike, flowsInto, fusedSelect, fusionInto } from '../plan/statements/fuse.ts';
import { carried, selectRows } from '../plan/statements/select.ts';
import { landFromStage, landingColumns, looksUp, stageDefinition } from '../plan/statements/stage.ts';
import { stageFor } from '../transform/batch.ts';
import { relay, tryRelay } from '../wire/relay.ts';
import type { CheckContext } from './check-context.ts';

/**
 * Whether the source alone cannot say what a target table should hold: values are looked up in the target, rows with one key
 * become one, or a transform makes them. Then what the mapping yields is copied into a temporary table of the target, and put together there.
 */
export const needsTarget = (plan: ResolvedPlan, relation: RelationName): boolean =>
  fusionInto(plan, relation) !== undefined ||
  flowsInto(plan, relation).some((flow) => looksUp(flow) || flow.transform !== undefined);

const table: RelationName = { schema: 'pg_temp', name: 'rowfleet_expected' };
const stageOf = (number: number): string => `rowfleet_expected_${number + 1}`;

/** Makes room for what a table should hold, for as long as `fn` runs: no read-only transaction can. */
export async function withExpected<T>(
  target: Session,
  plan: ResolvedPlan,
  relation: RelationName,
  fn: () => Promise<T>,
): Promise<T> {
  const flows = flowsInto(plan, relation);
  const stages = flows.flatMap((flow, i) => (looksUp(flow) ? [{ name: stageOf(i), flow }] : []));
  const names = [table.name, ...stages.map(({ name }) => name)];
  await inTransaction(target, 'read committed', async () => {
    await createLike(target, ident(table.name), flows, { temporary: true });
    for (const { name, flow } of stages)
      await target.query(`create temporary table ${name} (${stageDefinition(flow)})`);
  });
  try {
    return await fn();
  } finally {
    // A session that is gone has taken them along.
    await target.query(`drop table ${names.map((name) => `pg_temp.${name}`).join(', ')}`).catch(() => {});
  }
}

async function fill(ctx: CheckContext, flow: ResolvedFlow, number: number): Promise<void> {
  const { source, target, signal = new AbortController().signal } = ctx;
  const list = carried(flow).map(({ copyExpression }) => `(${copyExpression}\n)`);
  const staged = looksUp(flow);
  const into = staged ? `pg_temp.${stageOf(number)}` : `${display(table)} (${landingColumns(flow)})`;
  const through = stageFor(ctx.transforms ?? new Map(), flow, { signal });
  const sides = [
    { session: source, statement: `copy (${selectRows(flow, list)}) to stdout (format ${flow.format})` },
    { session: target, statement: `copy ${into} from stdin (format ${flow.format})` },
  ] as const;
  if (through === undefined) await relay(...sides, { signal });
  else {
    // What the function does with the rows may be a finding: the sessions go on to tell of it.
    const outcome = await tryRelay(...sides, { signal, through });
    if (outcome.kind === 'refused') throw outcome.error;
  }
  if (staged) await planQuery(target, landFromStage(flow, `pg_temp.${stageOf(number)}`, table));
}

/** The transforms, as the plan names them, that make rows of a table. */
export const transformsInto = (plan: ResolvedPlan, relation: RelationName): string[] => [
  ...new Set(
    flowsInto(plan, relation).flatMap(({ transform }) => (transform ? [writtenTransform(transform)] : [])),
  ),
];

/** Puts what a table should hold together once more, in place of what was. */
export async function fillExpectedAgain(ctx: CheckContext, relation: RelationName): Promise<void> {
  await ctx.target.query(`delete from ${display(table)}`);
  await fillExpected(ctx, relation);
}

/** Puts what a table should hold together, in the transactions of both sides. Returns it as something to select from. */
export async function fillExpected(ctx: CheckContext, relation: RelationName): Promise<string> {
  const flows = flowsInto(ctx.plan, relation);
  for (const [i, flow] of flows.entries()) await fill(ctx, flow, i);
  return flows[0]?.fusion === undefined ? display(table) : `(${fusedSelect(flows, display(table))})`;
}
