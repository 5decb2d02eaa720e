import { ident, literal, qualified } from '../../pg/quote.ts';
import type { TransformInput } from '../../transform/types.ts';
import type { CopyFormat } from '../../wire/relay-types.ts';
import type { Fusion, Leaf, ResolvedColumn, ResolvedFlow, ResolvedPlan } from '../resolved-plan.ts';

/** What a flow's texts stand in: all that its SELECTs have behind the select list. */
export type Frame = Pick<ResolvedFlow, 'driving' | 'only' | 'alias' | 'join' | 'where' | 'grouping'>;

/**
 * A physical range of one leaf: driving rows whose ctid is at least `from` and below `to`, `(block,offset)` as text; null is open.
 * A leaf without ctid is read whole.
 */
export interface TidRange {
  leaf: Leaf;
  from: string | null;
  to: string | null;
  /** Rows of the range that do not count. Defaults to none. */
  except?: string[];
}

/** Driving rows by a column, from `from` to below `to` as text; null is open, and behind the last bound come NULLs. */
export interface KeyRange {
  leaf?: undefined;
  /** Absent: all driving rows. */
  column?: string;
  from: string | null;
  to: string | null;
  /** SQL that rows hold besides. Defaults to none. */
  conditions?: string[];
}

/** What one batch reads. */
export type Range = TidRange | KeyRange;

/** The range of blocks `fromBlock` (inclusive) to `toBlock` (exclusive; null: to the end). */
export function blockRange(leaf: Leaf, fromBlock: number, toBlock: number | null): TidRange {
  return {
    leaf,
    from: fromBlock === 0 ? null : `(${fromBlock},0)`,
    to: toBlock === null ? null : `(${toBlock},0)`,
  };
}

/** The range of the one row that stands at `tid`. */
export function rowRange(leaf: Leaf, tid: string): TidRange {
  const [, block, offset] = /^\((\d+),(\d+)\)$/.exec(tid)!;
  return { leaf, from: tid, to: `(${block},${Number(offset) + 1})` };
}

type CutFlow = Pick<ResolvedFlow, 'grouping' | 'backfill'>;

/** Whether a flow's batches are ranges of a column's values rather than of blocks: groups stay whole, and rows that are updated move. */
export const isCutByKey = ({ grouping, backfill }: CutFlow): boolean =>
  grouping !== undefined || backfill !== undefined;

/** The column whose ranges a flow is cut into; undefined for one batch. */
export const rangeColumnOf = ({ grouping, backfill }: CutFlow): string | undefined =>
  backfill?.key[0] ?? grouping?.rangeColumn;

/** The range of a flow that is cut by key from one value to another, as text; null is open. */
export function keyRange(flow: CutFlow, bounds: { from: string | null; to: string | null }): KeyRange {
  const column = rangeColumnOf(flow);
  return { ...(column === undefined ? {} : { column }), ...bounds };
}

/** What travels for a column: itself, or what it is looked up by. */
export const carriedFor = (column: ResolvedColumn): ResolvedColumn[] => column.lookup?.by ?? [column];

/** SQL: a value as the text that COPY writes for it. A cast to text is another one for some types. */
export const asCopied = (value: string): string =>
  `case when ${value} is not distinct from null then null else pg_catalog.format('%s', ${value}) end`;

/** What rows with one key are put into order by. */
export const ordering = ({ fusion }: Pick<ResolvedFlow, 'fusion'>): ResolvedColumn[] =>
  fusion === undefined ? [] : [...fusion.order.map(({ column }) => column), ordinalColumn(fusion)];

/** The columns that travel: a transform's input or each of the target's, and what rows with one key are put into order by. */
export const carried = (flow: Pick<ResolvedFlow, 'columns' | 'fusion' | 'transform'>): ResolvedColumn[] => [
  ...(flow.transform === undefined
    ? flow.columns.flatMap(carriedFor)
    : flow.transform.input.map(inputColumn)),
  ...ordering(flow),
];

const inputColumn = ({ name, expression, type, nullable }: TransformInput): ResolvedColumn => ({
  name,
  ...{ expression, copyExpression: expression, compareExpression: expression },
  ...{ sourceType: type, targetType: type, digest: 'text', notNull: !nullable },
});

/** The column that tells candidates of the plan's flows apart, in their order. */
export const flowColumn = 'rowfleet_flow';

function ordinalColumn({ ordinal }: Fusion): ResolvedColumn {
  const expression = `${ordinal}::pg_catalog.int4`;
  return {
    name: flowColumn,
    ...{ expression, copyExpression: expression, compareExpression: expression },
    ...{ sourceType: 'integer', targetType: 'integer', digest: 'native', notNull: true },
  };
}

/** The frame's FROM clause: the whole driving table, or only one leaf of it. Plan text keeps its own line. */
export function fromClause(frame: Frame, leaf?: Leaf): string {
  const driving =
    leaf === undefined && !frame.only ? qualified(frame.driving) : `only ${qualified(leaf ?? frame.driving)}`;
  return `from ${driving} as ${frame.alias}${frame.join === '' ? '' : `\n${frame.join}\n`}`;
}

/** `where …` for the given conditions and the frame's own; empty where there are none. */
export function whereClause(frame: Frame, conditions: string[] = []): string {
  const all = frame.where === '' ? conditions : [...conditions, `(${frame.where}\n)`];
  return all.length === 0 ? '' : `where ${all.join(' and ')}`;
}

function groupClause({ grouping }: Frame): string {
  if (grouping?.kind !== 'group') return '';
  return `group by ${grouping.by.map((expression) => `(${expression}\n)`).join(', ')}`;
}

/** A SELECT over a flow's frame: of all driving rows, or of one leaf's, under the given conditions besides the frame's own. */
export function selectRows(
  frame: Frame,
  list: string[],
  { leaf, conditions = [] }: { leaf?: Leaf; conditions?: string[] } = {},
): string {
  const clauses = [fromClause(frame, leaf), whereClause(frame, conditions), groupClause(frame)];
  return `select ${list.join(', ')} ${clauses.filter((clause) => clause !== '').join(' ')}`;
}

/** What a driving row under the given alias must be to stand in a range. */
export function rangeConditions(alias: string, range: Range): string[] {
  if (range.leaf === undefined) return keyConditions(alias, range);
  const { leaf, from, to, except = [] } = range;
  if (!leaf.hasCtid) return [];
  const tid = (text: string) => `${literal(text)}::pg_catalog.tid`;
  return [
    ...(from === null ? [] : [`${alias}.ctid >= ${tid(from)}`]),
    ...(to === null ? [] : [`${alias}.ctid < ${tid(to)}`]),
    ...(except.length === 0
      ? []
      : [`${alias}.ctid not in (select pg_catalog.unnest(array[${except.map(tid).join(', ')}]))`]),
  ];
}

// A literal without a type takes the column's.
function keyConditions(alias: string, { column, from, to, conditions = [] }: KeyRange): string[] {
  if (column === undefined) return conditions;
  const key = `${alias}.${ident(column)}`;
  if (to !== null)
    return [
      ...(from === null ? [] : [`${key} >= ${literal(from)}`]),
      `${key} < ${literal(to)}`,
      ...conditions,
    ];
  return from === null ? conditions : [`(${key} >= ${literal(from)} or ${key} is null)`, ...conditions];
}

/** The rows of one range, as the target's columns: what a batch copies. `before` stands before them in the list. */
export function batchSelect(flow: ResolvedFlow, range: Range, before: string[] = []): string {
  const list = [...before, ...carried(flow).map((column) => `(${column.copyExpression}\n)`)];
  const { leaf } = range;
  return selectRows(flow, list, { ...(leaf && { leaf }), conditions: rangeConditions(flow.alias, range) });
}

/** `COPY (…) TO STDOUT` of one range, for the source; `before` as in `batchSelect`. */
export function copyOutStatement(flow: ResolvedFlow, range: Range, before: string[] = []): string {
  return `copy (${batchSelect(flow, range, before)}) to stdout (format ${flow.format})`;
}

/** The flows of a plan that one COPY of the source feeds, in the plan's order; mostly the flow alone. */
export const readTogether = ({ flows }: Pick<ResolvedPlan, 'flows'>, flow: ResolvedFlow): ResolvedFlow[] =>
  flow.readWith === undefined
    ? [flow]
    : flows.filter(({ readWith }) => readWith?.leader === flow.readWith!.leader);

/** The name of the flow that has a flow's batches. */
export const leaderOf = ({ name, readWith }: Pick<ResolvedFlow, 'name' | 'readWith'>): string =>
  readWith?.leader ?? name;

/**
 * One `COPY (…) TO STDOUT` for flows that are read together: of each its columns, and before these, where it has a condition of its
 * own, whether the row is for it.
 */
export function copyOutOfAll(
  flows: ResolvedFlow[],
  range: Range,
): { statement: string; parts: { columns: number; flag: boolean }[]; format: CopyFormat } {
  const [leader] = flows as [ResolvedFlow];
  const owns = flows.map(({ readWith }) => readWith!.own);
  const flag = (own: string): string[] => (own === '' ? [] : [`((${own}\n) is true)`]);
  const list = flows.flatMap((flow, i) => [
    ...flag(owns[i]!),
    ...carried(flow).map((column) => `(${column.copyExpression}\n)`),
  ]);
  const some = owns.includes('') ? [] : [`(${owns.flatMap(flag).join(' or ')})`];
  const conditions = [...rangeConditions(leader.alias, range), ...some];
  const { leaf } = range;
  const frame = { ...leader, where: leader.readWith!.where };
  const select = selectRows(frame, list, { ...(leaf && { leaf }), conditions });
  return {
    statement: `copy (${select}) to stdout (format ${leader.format})`,
    parts: flows.map((flow, i) => ({ columns: carried(flow).length, flag: owns[i] !== '' })),
    format: leader.format,
  };
}
