import { display, ident, qualified, type RelationName } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import type { Fusion, ResolvedFlow, ResolvedOrder, ResolvedPlan } from '../resolved-plan.ts';
import { flowColumn } from './select.ts';

/** The flows that fill a target table, in the plan's order. */
export const flowsInto = ({ flows }: Pick<ResolvedPlan, 'flows'>, relation: RelationName): ResolvedFlow[] =>
  flows.filter((flow) => display(flow.target) === display(relation));

/** What rows of a target table with one key become one by; undefined where they may not meet. */
export const fusionInto = (plan: Pick<ResolvedPlan, 'flows'>, relation: RelationName): Fusion | undefined =>
  flowsInto(plan, relation)[0]?.fusion;

/** Target columns that any of the flows fills, with their types. */
function filled(flows: ResolvedFlow[]): Map<string, string> {
  return new Map(flows.flatMap(({ columns }) => columns.map(({ name, targetType }) => [name, targetType])));
}

const textual = /^pg_catalog\.(text|varchar)$/;

/**
 * The own values of a candidate. What its flow does not fill is left out: a default such as now() or the next number of a sequence tells
 * when a row came.
 */
function ownValues(flows: ResolvedFlow[], names: string[]): string[] {
  return names.map((name) => {
    const filling = flows.filter(({ columns }) => columns.some((column) => column.name === name));
    const value = `c.${ident(name)}`;
    if (filling.length === flows.length) return value;
    const ordinals = filling.map(({ fusion }) => fusion!.ordinal).join(', ');
    return `case when c.${ident(flowColumn)} in (${ordinals}) then ${value} end`;
  });
}

/** `order by` of candidates, the one that is taken first; `backwards`: the last. */
function orderBy(order: ResolvedOrder[], own: string[], backwards: boolean): string {
  const items = order.map(({ column, descending, nullsFirst }) => {
    const value = `c.${ident(column.name)}${textual.test(column.targetType) ? ' collate pg_catalog."C"' : ''}`;
    return `${value} ${descending === backwards ? 'asc' : 'desc'} nulls ${nullsFirst === backwards ? 'last' : 'first'}`;
  });
  const direction = backwards ? 'desc' : 'asc';
  const values = `row(${own.join(', ')})::pg_catalog.text collate pg_catalog."C"`;
  return [...items, `c.${ident(flowColumn)} ${direction}`, `${values} ${direction}`].join(', ');
}

/** Arrays of arrays must be alike in length: these go as their text. */
function firstOf(name: string, type: string, order: string): string {
  const value = `c.${ident(name)}`;
  const isArray = type.endsWith('[]');
  const gathered = `pg_catalog.array_agg(${isArray ? `${value}::pg_catalog.text` : value} order by ${order}) filter (where ${value} is not null)`;
  return `(${gathered})[1]${isArray ? `::${type}` : ''} as ${ident(name)}`;
}

/**
 * A SELECT of what candidates become: one row for each key, chosen or put together by the rule. NULL in a key meets nothing.
 * @param candidates the table that they are in, as SQL; has the target's columns, those of the order, and `rowfleet_flow`
 * @param where which candidates, by whole keys: a clause over their alias `c`; all by default
 */
export function fusedSelect(flows: ResolvedFlow[], candidates: string, where = ''): string {
  const { rule, key, order } = flows[0]!.fusion!;
  const types = filled(flows);
  const names = [...types.keys()];
  const keys = key.map((name) => `c.${ident(name)}`);
  const lone = `case when ${keys.map((each) => `${each} is null`).join(' or ')} then c.ctid end`;
  const columns = names.map((name) => `c.${ident(name)}`);
  const own = ownValues(flows, names);
  const from = `from ${candidates} as c ${where}`;
  if (rule !== 'merge')
    return `select distinct on (${[...keys, lone].join(', ')}) ${columns.join(', ')} ${from}
      order by ${[...keys, lone, orderBy(order, own, rule === 'update')].join(', ')}`;
  const taken = orderBy(order, own, false);
  // Keys that are equal need not be the same: 1.0 and 1.00, or text that differs in case alone.
  const isExact = (name: string) =>
    flows[0]!.columns.some((column) => column.name === name && column.digest === 'native');
  const list = names.map((name) =>
    key.includes(name) && isExact(name) ? `c.${ident(name)}` : firstOf(name, types.get(name)!, taken),
  );
  return `select ${list.join(', ')} ${from} group by ${[...keys, lone].join(', ')}`;
}

/**
 * Statements that put fused candidates into the target, once rows that are just sent again are among them.
 * @param bucket of so many (a power of two) that the keys are divided into; all by default
 */
export function fuseStatements(
  plan: ResolvedPlan,
  relation: RelationName,
  candidates: string,
  bucket?: { number: number; of: number },
): string[] {
  const flows = flowsInto(plan, relation);
  const names = [...filled(flows).keys()].map(ident).join(', ');
  const keys = flows[0]!.fusion!.key.map((name) => `c.${ident(name)}`).join(', ');
  const where = bucket && `where ${hashOf(keys)} & ${bucket.of - 1} = ${bucket.number}`;
  return [
    `lock table ${candidates} in share mode`,
    `insert into ${qualified(relation)} (${names}) overriding system value ${fusedSelect(flows, candidates, where)}`,
  ];
}

const hashOf = (keys: string): string => `pg_catalog.hash_record_extended(row(${keys}), 0)`;

/**
 * The statements that create a table like a target one, for rows that flows put there instead: with its defaults, and its checks
 * where each row has to hold them by itself; columns may be NULL that a row may lack. With the columns of the order where
 * rows are fused.
 * @param name the new table as SQL
 */
export async function likeStatements(
  session: Session,
  name: string,
  flows: ResolvedFlow[],
  { temporary = false } = {},
): Promise<string[]> {
  const [{ target, fusion }] = flows as [ResolvedFlow];
  const whole = fusion?.rule !== 'merge';
  const order = fusion?.order.map(({ column }) => `, ${ident(column.name)} ${column.targetType}`) ?? [];
  const extra = fusion === undefined ? '' : `${order.join('')}, ${ident(flowColumn)} pg_catalog.int4`;
  const including = whole ? ' including defaults including constraints' : '';
  const { rows } = await session.query<{ name: string }>(
    `select attname::text as name from pg_catalog.pg_attribute
      where attrelid = $1::pg_catalog.regclass and attnum > 0 and not attisdropped and attnotnull order by attnum`,
    [qualified(target)],
  );
  const always = (column: string) =>
    flows.every(({ columns }) => columns.some((each) => each.name === column));
  const optional = rows.filter((row) => !whole || temporary || !always(row.name));
  return [
    `create ${temporary ? 'temporary ' : ''}table ${name} (like ${qualified(target)}${including}${extra})`,
    ...optional.map((row) => `alter table ${name} alter column ${ident(row.name)} drop not null`),
  ];
}

/** Creates such a table. */
export async function createLike(
  session: Session,
  name: string,
  flows: ResolvedFlow[],
  options: { temporary?: boolean } = {},
): Promise<void> {
  for (const statement of await likeStatements(session, name, flows, options)) await session.query(statement);
}
