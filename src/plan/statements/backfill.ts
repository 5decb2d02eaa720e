import { ident, qualified } from '../../pg/quote.ts';
import type { ResolvedFlow, ResolvedPlan } from '../resolved-plan.ts';
import { fromClause, type Range, rangeConditions, whereClause } from './select.ts';

const text = (sql: string): string => `(${sql}\n)::pg_catalog.text`;

/** The rows of a range with their keys (k1…), new values (v1…) and those as they will be stored, as text (w1…). */
function yielded(flow: ResolvedFlow, conditions: string[], tail: string): string {
  const { alias, columns, backfill } = flow;
  const list = [
    ...backfill!.key.map((name, i) => `${alias}.${ident(name)} as k${i + 1}`),
    ...columns.map(({ copyExpression }, i) => `(${copyExpression}\n) as v${i + 1}`),
    ...columns.map(({ compareExpression }, i) => `${text(compareExpression)} as w${i + 1}`),
  ];
  return `select ${list.join(', ')} ${fromClause(flow)} ${whereClause(flow, conditions)} ${tail}`;
}

const sameKey = ({ backfill }: ResolvedFlow): string =>
  backfill!.key.map((name, i) => `t.${ident(name)} = e.k${i + 1}`).join(' and ');

/** By their bytes: values may differ where a collation of the column does not, and its collation may not be that of the expression. */
const differs = ({ columns }: ResolvedFlow): string =>
  columns
    .map(({ name }, i) => `${text(`t.${ident(name)}`)} collate pg_catalog."C" is distinct from e.w${i + 1}`)
    .join(' or ');

/**
 * A statement that locks the rows of a range, and waits for those who hold them. The update comes behind it, with a snapshot of its
 * own: a statement that waits for a row goes on with the newest version of that one, beside what it had met in joined tables before.
 */
export function backfillLock(flow: ResolvedFlow, range: Range): string {
  const { alias } = flow;
  const rows = `${fromClause(flow)} ${whereClause(flow, rangeConditions(alias, range))} for no key update of ${alias}`;
  return `select pg_catalog.count(*) as locked from (select ${rows}) as l`;
}

/**
 * A statement that updates the rows of a range which do not hold what the mapping says; rows that came behind `backfillLock` are
 * locked too. Gives `yielded`, `keys` (different ones) and `updated`, as counts.
 */
export function backfillStatement(flow: ResolvedFlow, range: Range): string {
  const { alias, columns, target, backfill } = flow;
  const rows = yielded(flow, rangeConditions(alias, range), `for no key update of ${alias}`);
  const set = columns.map(({ name }, i) => `${ident(name)} = e.v${i + 1}`).join(', ');
  const keys = backfill!.key.map((_, i) => `k${i + 1}`).join(', ');
  return `with e as materialized (${rows}), u as (
      update ${qualified(target)} as t set ${set} from e where ${sameKey(flow)} and (${differs(flow)}) returning 1
    )
    select (select pg_catalog.count(*) from e) as yielded,
           (select pg_catalog.count(*) from (select distinct ${keys} from e) as k) as keys,
           (select pg_catalog.count(*) from u) as updated`;
}

/** A SELECT of rows that do not hold what the mapping says: `k1…` the key, `w1…` what they should hold, `t1…` what they do, all as text. */
export function backfillDifferences(flow: ResolvedFlow): string {
  const { columns, target, backfill } = flow;
  const list = [
    ...backfill!.key.map((_, i) => `e.k${i + 1}::pg_catalog.text as k${i + 1}`),
    ...columns.map((_, i) => `e.w${i + 1}`),
    ...columns.map(({ name }, i) => `${text(`t.${ident(name)}`)} as t${i + 1}`),
  ];
  return `select ${list.join(', ')} from (${yielded(flow, [], '')}) as e
    join ${qualified(target)} as t on ${sameKey(flow)} where ${differs(flow)}`;
}

/** The tables whose rows a plan updates where they stand; they are none of its targets, which are emptied and built anew. */
export const updatedTables = ({ flows }: Pick<ResolvedPlan, 'flows'>): ResolvedFlow['driving'][] =>
  flows.filter(({ backfill }) => backfill !== undefined).map(({ driving }) => driving);
