import { ident, literal, qualified } from '../pg/quote.ts';
import type { Leaf, ResolvedFlow } from './types.ts';

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

/** The flow's FROM clause: the whole driving table, or only one leaf of it. Plan text keeps its own line. */
export function fromClause(flow: ResolvedFlow, leaf?: Leaf): string {
  const driving =
    leaf === undefined && !flow.only ? qualified(flow.driving) : `only ${qualified(leaf ?? flow.driving)}`;
  return `from ${driving} as ${flow.alias}${flow.join === '' ? '' : `\n${flow.join}\n`}`;
}

/** `where …` for the given conditions and the flow's own; empty where there are none. */
export function whereClause(flow: ResolvedFlow, conditions: string[] = []): string {
  const all = flow.where === '' ? conditions : [...conditions, `(${flow.where}\n)`];
  return all.length === 0 ? '' : `where ${all.join(' and ')}`;
}

/** What a driving row under the given alias must be to stand in a range. */
export function rangeConditions(alias: string, { leaf, from, to, except = [] }: TidRange): string[] {
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

/** The rows of one range, as the target's columns: what a batch copies. `before` stands before them in the list. */
export function batchSelect(flow: ResolvedFlow, range: TidRange, before: string[] = []): string {
  const list = [...before, ...flow.columns.map((column) => `(${column.copyExpression}\n)`)].join(', ');
  return `select ${list} ${fromClause(flow, range.leaf)} ${whereClause(flow, rangeConditions(flow.alias, range))}`;
}

/** `COPY (…) TO STDOUT` of one range, for the source. */
export function copyOutStatement(flow: ResolvedFlow, range: TidRange): string {
  return `copy (${batchSelect(flow, range)}) to stdout (format ${flow.format})`;
}

/** `COPY … FROM STDIN` for the target: the flow's columns, in the flow's order. */
export function copyInStatement(flow: ResolvedFlow): string {
  const columns = flow.columns.map((column) => ident(column.name)).join(', ');
  return `copy ${qualified(flow.target)}${columns === '' ? '' : ` (${columns})`} from stdin (format ${flow.format})`;
}
