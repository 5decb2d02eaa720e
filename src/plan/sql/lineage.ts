import type { CommonTableExpr, Node, SelectStmt } from 'libpg-query';
import { outputName } from './output-names.ts';
import { standIn } from './piece.ts';
import {
  type Columns,
  distinct,
  type Item,
  itemOf,
  lookUp,
  nowhere,
  type Origin,
  type Scope,
} from './scope.ts';
import { partsOf } from './walk.ts';

/** A table of the source and its columns, by the name that SQL has for it; none when there is no such table. */
export type FindTable = (parts: string[]) => { name: string; columns: string[] } | undefined;

/** A table as an item of FROM. */
export function tableItem(alias: string, name: string, columns: string[]): Item {
  return {
    alias,
    columns: new Map(columns.map((column) => [column, [{ table: name, column }]])),
    all: [{ table: name, column: '*' }],
  };
}

const namesOf = (alias: { colnames?: Node[] } | undefined): string[] => partsOf(alias?.colnames);

/**
 * Follows values back to the columns that they are made of, as far as the tree tells: through joins, sub-selects and
 * WITH. Conditions do not count: they choose rows, values come from elsewhere.
 */
export class Lineage {
  readonly #findTable: FindTable;

  constructor(findTable: FindTable) {
    this.#findTable = findTable;
  }

  /** What the items of a flow's join stand for; `driving` is what its alias does. */
  itemsOfJoin(from: Node[], driving: Item): Item[] {
    return this.#fromItems(from, { items: [driving], named: new Map() }).map((item) =>
      item.alias === standIn ? driving : item,
    );
  }

  /** The columns that an expression is made of. */
  originsOf(tree: unknown, scope: Scope): Origin[] {
    return distinct(this.#collect(tree, scope));
  }

  #collect(tree: unknown, scope: Scope): Origin[] {
    if (Array.isArray(tree)) return tree.flatMap((item) => this.#collect(item, scope));
    if (tree === null || typeof tree !== 'object') return [];
    return Object.entries(tree).flatMap(([key, value]) => {
      if (key === 'ColumnRef') return lookUp(partsOf(value.fields), scope);
      if (key === 'SelectStmt') return this.#columnsOf(value, scope).flatMap(([, origins]) => origins);
      // count(*) and EXISTS: of all rows, and of no column.
      const rows = key === 'FuncCall' && value.agg_star ? lookUp(['*'], scope) : [];
      const asked = key === 'SubLink' && value.subLinkType === 'EXISTS_SUBLINK';
      const from: Node[] = asked ? (value.subselect.SelectStmt.fromClause ?? []) : [];
      const found = this.#fromItems(from, scope).flatMap(({ all }) => all);
      return [...rows, ...found, ...this.#collect(value, scope)];
    });
  }

  #columnsOf(select: SelectStmt, outer: Scope): Columns {
    const named = new Map(outer.named);
    for (const node of select.withClause?.ctes ?? [])
      if ('CommonTableExpr' in node) this.#addNamed(node.CommonTableExpr, named, outer);
    if (select.larg && select.rarg) {
      const scope = { ...outer, named };
      const other = this.#columnsOf(select.rarg, scope);
      return this.#columnsOf(select.larg, scope).map(([name, origins], i) => [
        name,
        distinct([...origins, ...(other[i]?.[1] ?? [])]),
      ]);
    }
    const scope: Scope = { items: [], named, outer };
    scope.items = this.#fromItems(select.fromClause ?? [], scope);
    if (select.valuesLists) return this.#columnsOfValues(select.valuesLists, scope);
    return (select.targetList ?? []).flatMap((item) => this.#columnsOfItem(item, scope));
  }

  #columnsOfValues(rows: Node[], scope: Scope): Columns {
    const lists = rows.map((row) => ('List' in row ? (row.List.items ?? []) : []));
    return (lists[0] ?? []).map((_, i) => [
      `column${i + 1}`,
      this.originsOf(
        lists.map((list) => list[i]),
        scope,
      ),
    ]);
  }

  /** The columns that an item of a select list gives: one, or all of something. */
  #columnsOfItem(item: Node, scope: Scope): Columns {
    const name = outputName(item);
    if (name !== '*') return [[name, this.originsOf(item, scope)]];
    const value = 'ResTarget' in item ? item.ResTarget.val : undefined;
    const [, alias] = value && 'ColumnRef' in value ? partsOf(value.ColumnRef.fields).toReversed() : [];
    const meant = scope.items.filter((each) => alias === undefined || each.alias === alias);
    return meant.flatMap(({ columns, all }): Columns => (columns ? [...columns] : [['*', all]]));
  }

  #addNamed(query: CommonTableExpr, named: Map<string, Columns>, outer: Scope): void {
    const select = query.ctequery && 'SelectStmt' in query.ctequery ? query.ctequery.SelectStmt : undefined;
    if (!select || query.ctename === undefined) return;
    const names = partsOf(query.aliascolnames);
    const read = (each: SelectStmt): Columns =>
      this.#columnsOf(each, { ...outer, named }).map(([name, origins], i) => [names[i] ?? name, origins]);
    // A recursive one reads itself: what it begins with is what its columns are made of.
    if (select.larg) named.set(query.ctename, read(select.larg));
    named.set(query.ctename, read(select));
  }

  /** Items of FROM; each may see those before it, as LATERAL does. */
  #fromItems(from: Node[], scope: Scope): Item[] {
    const items: Item[] = [];
    for (const node of from)
      items.push(...this.#itemsOf(node, { ...scope, items: [...scope.items, ...items] }));
    return items;
  }

  #itemsOf(node: Node, scope: Scope): Item[] {
    if ('JoinExpr' in node) return this.#fromItems([node.JoinExpr.larg!, node.JoinExpr.rarg!], scope);
    if ('RangeTableSample' in node) return this.#itemsOf(node.RangeTableSample.relation!, scope);
    if ('RangeVar' in node) {
      const { relname = '', schemaname, alias } = node.RangeVar;
      const name = alias?.aliasname ?? relname;
      const columns = schemaname === undefined ? scope.named.get(relname) : undefined;
      if (columns) return [itemOf(name, columns, namesOf(alias))];
      const table = this.#findTable([...(schemaname === undefined ? [] : [schemaname]), relname]);
      if (!table) return [{ alias: name, all: [nowhere] }];
      const item = tableItem(name, table.name, table.columns);
      return [alias?.colnames ? itemOf(name, [...item.columns!], namesOf(alias)) : item];
    }
    if ('RangeSubselect' in node) {
      const { subquery, alias } = node.RangeSubselect;
      const select = subquery && 'SelectStmt' in subquery ? subquery.SelectStmt : {};
      return [itemOf(alias?.aliasname ?? '', this.#columnsOf(select, scope), namesOf(alias))];
    }
    return [this.#functionItem(node, scope)];
  }

  /** A function or the like in FROM: all that it gives is made of its arguments. */
  #functionItem(node: Node, scope: Scope): Item {
    const [value] = Object.values(node) as [{ alias?: { aliasname?: string }; functions?: Node[] }];
    const [first] = value.functions ?? [];
    const [call] = first && 'List' in first ? (first.List.items ?? []) : [];
    const named = call && 'FuncCall' in call ? partsOf(call.FuncCall.funcname).at(-1) : undefined;
    return { alias: value.alias?.aliasname ?? named ?? '', all: this.originsOf(node, scope) };
  }
}
