import type { FuncCall, Node, RangeVar, SelectStmt, TypeCast } from 'libpg-query';
import type { Piece } from './piece.ts';
import { locationOf, partsOf, shapeOf, type Visit, walk } from './walk.ts';

/** Something that a text names, and where. */
export interface Named {
  /** `c.id` → `['c', 'id']`; a whole row ends in `*`. */
  parts: string[];
  /** From 1. */
  character: number;
  /** SELECTs around it: 0 sees the flow's own rows. */
  depth: number;
}

export interface Call extends Named {
  /** Arguments that decide which function it is. */
  args: number;
  /** What its syntax tells: `f(…) over (…)`, or `f(distinct …)`, `f(*)`, `filter`, `within group`, `order by`. */
  form: 'window' | 'aggregate' | 'plain';
  /** What each PARTITION BY of a window names, as `shapeOf` has it. */
  partition: string[];
  /** Stands in FROM, where several rows are welcome. */
  inFrom: boolean;
  /** Depends on the order of rows that nothing settles, if it is an aggregate that keeps their order. */
  unordered: boolean;
}

/** What a text of the plan does, as far as the grammar tells. */
export interface Facts {
  columns: Named[];
  calls: Call[];
  tables: Named[];
  parameters: { text: string; character: number }[];
  /** Statements and clauses that write or lock, by their keywords. */
  writes: { what: string; character: number }[];
  /** What differs by the time it is looked at, without being a function: `current_date`, `'now'::date`, TABLESAMPLE. */
  moments: { text: string; character: number }[];
  /** Sub-selects that take some of their rows, and nothing says which. */
  arbitrary: { what: string; character: number }[];
}

const writing: Record<string, string> = {
  InsertStmt: 'INSERT',
  UpdateStmt: 'UPDATE',
  DeleteStmt: 'DELETE',
  MergeStmt: 'MERGE',
  LockingClause: 'FOR UPDATE',
};

/** Whether a SELECT reads rows of a table by itself, in an order that is the server's own choice. */
function readsTables(select: SelectStmt): boolean {
  let found = false;
  const look = (node: Node): void => {
    if ('RangeVar' in node) found = true;
    if ('JoinExpr' in node) [node.JoinExpr.larg!, node.JoinExpr.rarg!].forEach(look);
  };
  select.fromClause?.forEach(look);
  const branches = [select.larg, select.rarg].filter((branch) => branch !== undefined);
  return found || branches.some(readsTables);
}

const unsettled = (select: SelectStmt | undefined): boolean => select === undefined || readsTables(select);

function callOf(call: FuncCall, { selects }: Visit, inFrom: boolean): Omit<Call, 'character'> {
  const aggregate = call.agg_star || call.agg_distinct || call.agg_filter || call.agg_order;
  const within = call.agg_within_group ? (call.agg_order?.length ?? 0) : 0;
  return {
    parts: partsOf(call.funcname),
    depth: selects.length,
    args: (call.args?.length ?? 0) + within,
    form: call.over ? 'window' : aggregate || call.agg_within_group ? 'aggregate' : 'plain',
    partition: (call.over?.partitionClause ?? []).map(shapeOf),
    inFrom,
    unordered: !call.over && !call.agg_order && !call.agg_distinct && unsettled(selects.at(-1)),
  };
}

const momentWords = /^\s*(now|today|tomorrow|yesterday)\s*$/i;
const momentTypes = /^(date|time|timetz|timestamp|timestamptz)$/;

function momentOf({ arg, typeName }: TypeCast): string | undefined {
  const text = arg && 'A_Const' in arg ? arg.A_Const.sval?.sval : undefined;
  const type = partsOf(typeName?.names).at(-1) ?? '';
  return text !== undefined && momentWords.test(text) && momentTypes.test(type) ? `'${text}'` : undefined;
}

/** The words of SQL that stand for the time. Those for the role or the database are the same at each look. */
const moment = (op: string): string | undefined =>
  /^SVFOP_(CURRENT_(DATE|TIME|TIMESTAMP)|LOCALTIME(STAMP)?)/.test(op)
    ? op.replace('SVFOP_', '').replace(/_N$/, '').toLowerCase()
    : undefined;

function arbitraryOf(select: SelectStmt): string | undefined {
  if (select.sortClause || !readsTables(select)) return undefined;
  if (select.limitCount || select.limitOffset) return 'LIMIT';
  // DISTINCT is a list of one empty node, DISTINCT ON one of expressions.
  return Object.keys(select.distinctClause?.[0] ?? {}).length > 0 ? 'DISTINCT ON' : undefined;
}

function columnOf(value: { fields?: Node[] }): string[] {
  return partsOf(value.fields);
}

const tableOf = ({ schemaname, relname }: RangeVar): string[] =>
  [schemaname, relname].filter((part) => part !== undefined);

/** Reads off a tree what the rules ask of it. */
export function factsOf(piece: Piece): Facts {
  const facts: Facts = {
    columns: [],
    calls: [],
    tables: [],
    parameters: [],
    writes: [],
    moments: [],
    arbitrary: [],
  };
  const inFrom = new Set<unknown>();
  const at = (node: unknown) => piece.character(locationOf(node));
  walk(piece.tree, (step) => {
    const { kind, value, selects } = step;
    const depth = selects.length;
    const here = { character: piece.character(value.location ?? locationOf(value)), depth };
    // The alias that stands for the driving table while a join is parsed has no place in its text.
    if (kind === 'RangeVar' && !(depth === 0 && value === drivingOf(piece)))
      facts.tables.push({ parts: tableOf(value), ...here });
    if (kind === 'RangeFunction') for (const call of functionsOf(value)) inFrom.add(call);
    if (kind === 'ColumnRef') facts.columns.push({ parts: columnOf(value), ...here });
    if (kind === 'FuncCall')
      facts.calls.push({ ...callOf(value, step, inFrom.has(value)), character: here.character });
    if (kind === 'JsonObjectAgg' || kind === 'JsonArrayAgg')
      facts.calls.push(jsonAggregate(kind, value, here));
    if (kind === 'ParamRef') facts.parameters.push({ text: `$${value.number}`, character: here.character });
    if (writing[kind] !== undefined) facts.writes.push({ what: writing[kind], character: here.character });
    const word = kind === 'SQLValueFunction' ? moment(value.op) : kind === 'TypeCast' && momentOf(value);
    if (word) facts.moments.push({ text: word, character: here.character });
    if (kind === 'RangeTableSample' && !value.repeatable)
      facts.moments.push({ text: 'TABLESAMPLE', character: here.character });
    if (kind === 'SelectStmt') {
      if (value.intoClause) facts.writes.push({ what: 'SELECT INTO', character: at(value.intoClause) });
      const what = arbitraryOf(value);
      if (what !== undefined) facts.arbitrary.push({ what, character: here.character });
    }
  });
  return facts;
}

/** The stand-in of the driving table at the head of a join's FROM items. */
function drivingOf({ place, tree: [first] }: Piece): RangeVar | undefined {
  let node = place === 'join' ? first : undefined;
  while (node && 'JoinExpr' in node) node = node.JoinExpr.larg;
  return node && 'RangeVar' in node ? node.RangeVar : undefined;
}

/** The calls that a function of FROM is, among those in its arguments. */
function functionsOf({ functions }: { functions?: Node[] }): unknown[] {
  return (functions ?? []).flatMap((list) => {
    const [call] = 'List' in list ? (list.List.items ?? []) : [];
    return call && 'FuncCall' in call ? [call.FuncCall] : [];
  });
}

function jsonAggregate(
  kind: 'JsonObjectAgg' | 'JsonArrayAgg',
  { constructor: part }: { constructor?: { over?: { partitionClause?: Node[] }; agg_order?: Node[] } },
  here: { character: number; depth: number },
): Call {
  return {
    ...here,
    parts: [kind === 'JsonObjectAgg' ? 'json_objectagg' : 'json_arrayagg'],
    args: 1,
    form: part?.over ? 'window' : 'aggregate',
    partition: (part?.over?.partitionClause ?? []).map(shapeOf),
    inFrom: false,
    unordered: false,
  };
}
