import { ident, literal, qualified } from '../pg/quote.ts';
import type { Leaf, ResolvedFlow } from './types.ts';

/** A physical range of one leaf: blocks `fromBlock` (inclusive) to `toBlock` (exclusive; null: to the end). */
export interface BlockRange {
  leaf: Leaf;
  fromBlock: number;
  toBlock: number | null;
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

function rangeConditions(flow: ResolvedFlow, range: BlockRange): string[] {
  if (!range.leaf.hasCtid) return [];
  const conditions: string[] = [];
  if (range.fromBlock > 0)
    conditions.push(`${flow.alias}.ctid >= ${literal(`(${range.fromBlock},0)`)}::pg_catalog.tid`);
  if (range.toBlock !== null)
    conditions.push(`${flow.alias}.ctid < ${literal(`(${range.toBlock},0)`)}::pg_catalog.tid`);
  return conditions;
}

/** The rows of one range, as the target's columns: what a batch copies. */
export function batchSelect(flow: ResolvedFlow, range: BlockRange): string {
  const list = flow.columns.map((column) => `(${column.copyExpression}\n)`).join(', ');
  return `select ${list} ${fromClause(flow, range.leaf)} ${whereClause(flow, rangeConditions(flow, range))}`;
}

/** `COPY (…) TO STDOUT` of one range, for the source. */
export function copyOutStatement(flow: ResolvedFlow, range: BlockRange): string {
  return `copy (${batchSelect(flow, range)}) to stdout (format ${flow.format})`;
}

/** `COPY … FROM STDIN` for the target: the flow's columns, in the flow's order. */
export function copyInStatement(flow: ResolvedFlow): string {
  const columns = flow.columns.map((column) => ident(column.name)).join(', ');
  return `copy ${qualified(flow.target)}${columns === '' ? '' : ` (${columns})`} from stdin (format ${flow.format})`;
}
