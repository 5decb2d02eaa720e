import type { Node, SelectStmt } from 'libpg-query';

/** What one step of a walk stands at. */
export interface Visit {
  /** The node's type, as in `FuncCall`. */
  kind: string;
  // biome-ignore lint/suspicious/noExplicitAny: each kind has its own shape, which its reader names
  value: any;
  /** SELECTs around it, innermost last; none for what sees the flow's own rows. */
  selects: SelectStmt[];
}

const isKind = (key: string): boolean => /^[A-Z]/.test(key);

/** Calls `visit` for each node of a tree, parents first. */
export function walk(tree: unknown, visit: (step: Visit) => void, selects: SelectStmt[] = []): void {
  if (Array.isArray(tree)) {
    for (const item of tree) walk(item, visit, selects);
  } else if (tree !== null && typeof tree === 'object') {
    for (const [key, value] of Object.entries(tree)) {
      if (isKind(key)) visit({ kind: key, value, selects });
      walk(value, visit, key === 'SelectStmt' ? [...selects, value as SelectStmt] : selects);
    }
  }
}

const isLocation = (key: string): boolean => /location$|^list_(start|end)$|^rexpr_list_/.test(key);

/** A tree without its locations, so that equal texts are equal. */
export function shapeOf(tree: unknown): string {
  return JSON.stringify(tree, (key, value) => (isLocation(key) ? undefined : value));
}

/** The first location in a tree, in bytes; none where nothing in it has one. */
export function locationOf(tree: unknown): number | undefined {
  let first: number | undefined;
  JSON.stringify(tree, (key, value) => {
    if (key === 'location' && value >= 0 && (first === undefined || value < first)) first = value;
    return value;
  });
  return first;
}

/** The strings of a list of String nodes: the parts of a name. */
export const partsOf = (nodes: Node[] = []): string[] =>
  nodes.map((node) => ('String' in node ? (node.String.sval ?? '') : '*'));
