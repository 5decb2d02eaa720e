import { sqlState } from '../../../pg/errors.ts';
import { classify } from '../../../pg/failure-class.ts';
import { ident, literal, qualified } from '../../../pg/quote.ts';
import type { Session } from '../../../pg/session.ts';
import { sqlStates } from '../../../pg/sql-states.ts';
import { underSavepoint } from '../../../pg/transaction.ts';
import type { ResolvedFlow } from '../../../plan/resolved-plan.ts';
import { planQuery } from '../../../plan/sql/query.ts';
import { asCopied, carried, carriedFor, selectRows } from '../../../plan/statements/select.ts';
import type { Place } from './pick.ts';
import type { CallTransform } from './transformed.ts';
import type { SampledRefusal } from './types.ts';

/** Rows that one driving row is shown with. */
export const mostRows = 10;
/** Characters of a row beyond which it is neither shown nor held against the target's rules. */
const mostText = 200_000;

/** What a driving row yields for one output: the texts of what travels, in its order. */
export interface Yielded {
  /** null for a row that is too large. */
  rows: (string | null)[][];
  more: boolean;
  tooLarge: boolean;
  none?: string;
  refusals: SampledRefusal[];
}

/** A value or what refused it; throws what no row is to blame for. */
export async function tryQuery<T>(
  session: Session,
  side: 'source' | 'target',
  query: () => Promise<T>,
): Promise<{ value: T; error?: undefined } | { error: Error }> {
  const isExpected = (error: unknown) =>
    ['row', 'give up'].includes(classify(error, side)) || sqlState(error) === sqlStates.queryCanceled;
  const outcome = await underSavepoint(session, isExpected, query);
  return outcome.kind === 'done' ? { value: outcome.value } : { error: outcome.error as Error };
}

/** As a refusal; the server's own words may quote the row. */
export const refusalOf = (error: Error, column?: string): SampledRefusal => ({
  side: 'source',
  code: sqlState(error) ?? 'UNEXPECTED',
  ...(column === undefined ? {} : { column }),
  message: error.message,
});

const stands = ({ alias }: ResolvedFlow, tid: string): string =>
  `${alias}.ctid = ${literal(tid)}::pg_catalog.tid`;

/** What driving rows of the same groups as the one at a place must be like. */
async function groupConditions(source: Session, flow: ResolvedFlow, { leaf, tid }: Place): Promise<string[]> {
  const { by, rangeColumn } = flow.grouping!;
  const { grouping: _, ...frame } = flow;
  const list = by.map((expression, i) => `(${expression}\n) as b${i + 1}`);
  const own = selectRows(frame, list, { leaf, conditions: [stands(flow, tid)] });
  const same = by.map((expression, i) => `g.b${i + 1} is not distinct from (${expression}\n)`).join(' and ');
  const conditions = [`exists (select from (${own}) as g where ${same})`];
  if (rangeColumn === undefined) return conditions;
  const at = `from only ${qualified(leaf)} as d where d.ctid = ${literal(tid)}::pg_catalog.tid`;
  const { rows } = await source.query<{ there: boolean }>(
    `select d.${ident(rangeColumn)} is not null as there ${at}`,
  );
  const column = `${flow.alias}.${ident(rangeColumn)}`;
  // Besides, so that an index leads to the group.
  return [
    ...conditions,
    rows[0]?.there ? `${column} = (select d.${ident(rangeColumn)} ${at})` : `${column} is null`,
  ];
}

/** A SELECT of what a place becomes in an output; `list` names what it selects. */
type SelectAt = (flow: ResolvedFlow, list: string[]) => string;

/** How what a place becomes is selected. */
export async function selectAt(source: Session, flow: ResolvedFlow, place: Place): Promise<SelectAt> {
  const { leaf, tid } = place;
  if (flow.grouping === undefined)
    return (output, list) => selectRows(output, list, { leaf, conditions: [stands(output, tid)] });
  const conditions = await groupConditions(source, flow, place);
  if (flow.grouping.kind === 'group') return (output, list) => selectRows(output, list, { conditions });
  // A window sees the whole group; of its rows one is meant.
  return (output, list) => {
    const { alias } = output;
    const where = [`${alias}.tableoid as rowfleet_of`, `${alias}.ctid as rowfleet_at`];
    const all = selectRows(output, [...list, ...where], { conditions });
    const names = list.map((_, i) => `w.c${i + 1}`);
    return `select ${names.join(', ')} from (${all}) as w
      where w.rowfleet_at = ${literal(tid)}::pg_catalog.tid and w.rowfleet_of = ${leaf.oid}::pg_catalog.oid`;
  };
}

/** The texts of an output's rows, from a SELECT of c1…cn; a row that is too large as NULL. */
export const textsOf = (rows: string, columns: number, first: string[] = []): string => {
  const values = Array.from({ length: columns }, (_, i) => asCopied(`r.c${i + 1}`));
  const texts = `array[${values.join(', ')}]::pg_catalog.text[]`;
  const list = [
    ...first,
    `case when pg_catalog.octet_length(t.texts::pg_catalog.text) <= ${mostText} then t.texts end as texts`,
  ];
  return `select ${list.join(', ')} from (${rows}) as r cross join lateral (select ${texts} as texts offset 0) as t limit ${mostRows + 1}`;
};

/** c1…cn of what travels for an output. */
export const listOf = (flow: ResolvedFlow): string[] =>
  carried(flow).map(({ copyExpression }, i) => `(${copyExpression}\n) as c${i + 1}`);

/** Where the whole cannot be computed: the columns that alone cannot be either. */
async function failingColumns(
  source: Session,
  flow: ResolvedFlow,
  at: SelectAt,
  whole: Error,
): Promise<SampledRefusal[]> {
  const refusals: SampledRefusal[] = [];
  const columns = flow.transform === undefined ? flow.columns : carried(flow);
  for (const column of columns) {
    for (const { copyExpression } of carriedFor(column)) {
      const one = `select pg_catalog.count(r.c1) from (${at(flow, [`(${copyExpression}\n) as c1`])}) as r`;
      const { error } = await tryQuery(source, 'source', () => planQuery(source, one));
      if (error !== undefined) refusals.push(refusalOf(error, column.name));
    }
  }
  // Where each of them fails, what they have in common does: join or where.
  const common = refusals.length === carried(flow).length && refusals.length > 1;
  return refusals.length === 0 || common ? [refusalOf(whole)] : refusals;
}

async function whyNone(source: Session, flow: ResolvedFlow, at: SelectAt): Promise<string> {
  const joined = await tryQuery(source, 'source', () =>
    planQuery(source, `select 1 from (${at({ ...flow, where: '' }, ['1 as c1'])}) as r limit 1`),
  );
  if (joined.error !== undefined || joined.value.rowCount !== 0) return 'left out by where';
  return 'the join finds nothing for it';
}

/** The rows that a transform makes of what was read; without one, these. */
export async function transformed(call: CallTransform | undefined, read: Yielded): Promise<Yielded> {
  if (call === undefined) return read;
  const made: Yielded = { ...read, rows: [], refusals: [...read.refusals] };
  for (const texts of read.rows) {
    const one = await call(texts);
    if (one.kind === 'rows') made.rows.push(...one.rows);
    else if (one.kind === 'refused') made.refusals.push(one.refusal);
    else made.none = one.why;
  }
  const isNone = made.rows.length === 0 && made.refusals.length === 0 && read.rows.length > 0;
  if (isNone) made.none ??= 'its transform returns none';
  return { ...made, rows: made.rows.slice(0, mostRows), more: read.more || made.rows.length > mostRows };
}

/** What a place becomes in one output of its flow. */
export async function yieldedAt(
  source: Session,
  flow: ResolvedFlow,
  at: SelectAt,
  call: CallTransform | undefined,
): Promise<Yielded> {
  const sql = textsOf(at(flow, listOf(flow)), carried(flow).length);
  const read = await tryQuery(source, 'source', () => planQuery<{ texts: string[] | null }>(source, sql));
  const nothing: Yielded = { rows: [], more: false, tooLarge: false, refusals: [] };
  if (read.error !== undefined)
    return { ...nothing, refusals: await failingColumns(source, flow, at, read.error) };
  const rows = read.value.rows.map(({ texts }) => texts);
  if (rows.length === 0) return { ...nothing, none: await whyNone(source, flow, at) };
  const whole = rows.slice(0, mostRows).filter((texts) => texts !== null);
  const yielded = { ...nothing, rows: whole, more: rows.length > mostRows, tooLarge: rows.includes(null) };
  return transformed(call, yielded);
}
