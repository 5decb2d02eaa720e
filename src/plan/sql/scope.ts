/** Where a value comes from: a column of a source table. `*` is its rows as such, a table `?` one that is not known. */
export interface Origin {
  /** As people read it: `public.chunks`. */
  table: string;
  column: string;
}

/** What one name in a FROM clause stands for. */
export interface Item {
  alias: string;
  /** Origins of each column; absent where its columns are not known by name. */
  columns?: Map<string, Origin[]>;
  /** Origins of all of it together. */
  all: Origin[];
}

/** Columns of a sub-select, in their order. */
export type Columns = [name: string, origins: Origin[]][];

/** What names mean at one place of a query. */
export interface Scope {
  items: Item[];
  /** WITH queries. */
  named: Map<string, Columns>;
  outer?: Scope;
}

export const nowhere: Origin = { table: '?', column: '?' };

/** Each origin once, in their order. */
export function distinct(origins: Origin[]): Origin[] {
  return [...new Map(origins.map((each) => [JSON.stringify([each.table, each.column]), each])).values()];
}

/** A sub-select or WITH query under its alias; `renamed` are the column names that the alias gives. */
export function itemOf(alias: string, columns: Columns, renamed: string[] = []): Item {
  const named = columns.map(([name, origins], i): [string, Origin[]] => [renamed[i] ?? name, origins]);
  return { alias, columns: new Map(named), all: distinct(columns.flatMap(([, origins]) => origins)) };
}

/** Origins of a column of an item; undefined when it has none of that name. */
const columnOf = ({ columns, all }: Item, name: string): Origin[] | undefined =>
  columns ? columns.get(name) : all;

/** Looks an unqualified name up: a column, innermost first, else a whole row. */
function unqualified(name: string, scope: Scope | undefined): Origin[] {
  if (!scope) return [nowhere];
  const known = scope.items.find(({ columns }) => columns?.has(name));
  if (known) return known.columns!.get(name)!;
  const row = scope.items.find(({ alias }) => alias === name);
  if (row) return row.all;
  // One whose columns are not known may have it.
  const opaque = scope.items.find(({ columns }) => columns === undefined);
  return opaque ? opaque.all : unqualified(name, scope.outer);
}

function find(alias: string, scope: Scope | undefined): Item | undefined {
  return scope && (scope.items.find((item) => item.alias === alias) ?? find(alias, scope.outer));
}

/** Where a column reference leads; the last part may be `*`. */
export function lookUp(parts: string[], scope: Scope): Origin[] {
  const [name, alias, first] = parts.toReversed();
  if (name === undefined) return [nowhere];
  if (alias === undefined)
    return name === '*' ? distinct(scope.items.flatMap(({ all }) => all)) : unqualified(name, scope);
  const item = find(alias, scope);
  if (item) return name === '*' ? item.all : (columnOf(item, name) ?? [nowhere]);
  // `c.address.street`: a field of a column.
  const owner = first === undefined ? undefined : find(first, scope);
  return (owner && columnOf(owner, alias)) ?? [nowhere];
}
