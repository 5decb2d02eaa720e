import type { Node, SelectStmt } from 'libpg-query';
import { partsOf } from './walk.ts';

/** The SELECT that a node is; of UNION and its like the first one, which names the columns. */
export function selectOf(node: Node | undefined): SelectStmt | undefined {
  let select = node && 'SelectStmt' in node ? node.SelectStmt : undefined;
  while (select?.larg) select = select.larg;
  return select;
}

/** What the server calls an item of a select list that has no name of its own. */
function impliedName(value: Node | undefined): string {
  if (value === undefined) return '?column?';
  if ('ColumnRef' in value) return partsOf(value.ColumnRef.fields).at(-1)!;
  if ('FuncCall' in value) return partsOf(value.FuncCall.funcname).at(-1)!;
  if ('TypeCast' in value) return impliedName(value.TypeCast.arg);
  if ('CoalesceExpr' in value) return 'coalesce';
  if ('CaseExpr' in value) return 'case';
  return '?column?';
}

/** The name of a select list's item; `*` for all columns of something. */
export function outputName(item: Node): string {
  const target = 'ResTarget' in item ? item.ResTarget : {};
  return target.name ?? impliedName(target.val);
}

/** The columns that a sub-select gives, by name. */
export const outputNames = (subquery: Node | undefined): string[] =>
  (selectOf(subquery)?.targetList ?? []).map(outputName);
