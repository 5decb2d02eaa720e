import { columnOf, constraintOf, safeMessage } from '../pg/errors.ts';
import { classify } from '../pg/failure-class.ts';
import { display, ident, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { inTransaction, underSavepoint } from '../pg/transaction.ts';
import type { ResolvedPlan } from '../plan/resolved-plan.ts';
import { planQuery } from '../plan/sql/query.ts';
import { flowsInto, fusedSelect } from '../plan/statements/fuse.ts';
import type { Finding } from '../validate/types.ts';

/** How many refused keys a finding shows. */
const shown = 10;

/** What rows under the alias `r` are refused by, as SQL; undefined where the catalog does not tell. */
async function refusedBy(
  session: Session,
  relation: RelationName,
  error: unknown,
): Promise<string | undefined> {
  const [column, constraint] = [columnOf(error), constraintOf(error)];
  if (constraint === undefined) return column === undefined ? undefined : `r.${ident(column)} is null`;
  const { rows } = await session.query<{ expression: string | null; key: string[] | null }>(
    `select (select pg_catalog.pg_get_expr(conbin, conrelid) from pg_catalog.pg_constraint
              where conrelid = $1::pg_catalog.regclass and conname = $2 and contype = 'c') as expression,
            (select pg_catalog.array_agg(a.attname::text order by k.n)
               from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid and c.relname = $2
              cross join pg_catalog.unnest(i.indkey::int2[]) with ordinality k (attnum, n)
               join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
              where i.indrelid = $1::pg_catalog.regclass and k.n <= i.indnkeyatts and i.indpred is null and i.indexprs is null) as key`,
    [qualified(relation), constraint],
  );
  const { expression, key } = rows[0]!;
  if (expression !== null) return `not (${expression})`;
  if (key === null) return undefined;
  const same = (alias: string) =>
    key.map((name) => `${alias}.${ident(name)} = r.${ident(name)}`).join(' and ');
  return `(select pg_catalog.count(*) from fused as o where ${same('o')}) > 1 or exists (select from ${qualified(relation)} as t where ${same('t')})`;
}

/** The keys of candidates whose row is refused, as far as that can be told. */
async function refusedKeys(
  session: Session,
  plan: ResolvedPlan,
  { relation, candidates }: { relation: RelationName; candidates: RelationName },
  error: unknown,
): Promise<{ count: number; rows: Record<string, string | null>[] }> {
  const none = { count: 0, rows: [] };
  const condition = await refusedBy(session, relation, error);
  if (condition === undefined) return none;
  const flows = flowsInto(plan, relation);
  const { key } = flows[0]!.fusion!;
  const list = key.map((name) => `r.${ident(name)}::pg_catalog.text as ${ident(name)}`).join(', ');
  const outcome = await underSavepoint(
    session,
    (failed) => classify(failed, 'target') !== 'wait',
    () =>
      planQuery<Record<string, string | null> & { rowfleet_count: string }>(
        session,
        `with fused as materialized (${fusedSelect(flows, qualified(candidates))})
         select pg_catalog.count(*) over () as rowfleet_count, ${list} from fused as r where ${condition} order by 2 limit ${shown}`,
      ),
  );
  if (outcome.kind === 'undone') return none;
  const found = outcome.value.rows.map(({ rowfleet_count: _, ...row }) => row);
  return { count: Number(outcome.value.rows[0]?.rowfleet_count ?? 0), rows: found };
}

/**
 * The finding behind candidates that could not become rows, since the target refuses what those of one key come to: with the
 * rule, the flows and the keys. Undefined where no row is to blame.
 */
export async function fusionProblem(
  session: Session,
  plan: ResolvedPlan,
  table: { relation: RelationName; candidates: RelationName },
  error: unknown,
): Promise<Finding | undefined> {
  if (classify(error, 'target') !== 'row') return undefined;
  const { relation } = table;
  const { count, rows } = await inTransaction(
    session,
    'read committed, read only',
    () => refusedKeys(session, plan, table, error),
    { searchPath: plan.target.searchPath },
  );
  const flows = flowsInto(plan, relation).map(({ name }) => name);
  const from = `${flows.length === 1 ? 'flow' : 'flows'} ${flows.join(', ')}`;
  const reason = safeMessage(error instanceof Error && error.cause ? error.cause : error);
  const some = count === 0 ? '' : ` for ${count} ${count === 1 ? 'key' : 'keys'}`;
  return {
    check: 'build',
    relation,
    summary: `${display(relation)}: what rows of ${from} with one key become is refused${some}, so none of them is there: ${reason}. Change that rule of ${display(relation)}, and resume; or cancel, mend the source or the plan, and migrate anew`,
    details: rows.map((key) => ({ key, problem: 'missing' })),
  };
}
