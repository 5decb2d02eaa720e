import type { Relation, Relations } from '../../catalog/relations.ts';
import { nearest } from '../../nearest.ts';
import { display } from '../../pg/quote.ts';
import { lex, nameOf, type Token } from './text.ts';

/** A relation as plan text names it. */
export interface WrittenName {
  schema?: string;
  name: string;
}

interface Named {
  written: WrittenName;
  /** What follows the name. */
  rest: Token[];
}

function leadingName(tokens: Token[]): Named | undefined {
  const first = nameOf(tokens[0]);
  if (first === undefined) return undefined;
  if (tokens[1]?.text !== '.') return { written: { name: first }, rest: tokens.slice(1) };
  const second = nameOf(tokens[2]);
  return second === undefined
    ? undefined
    : { written: { schema: first, name: second }, rest: tokens.slice(3) };
}

/** Reads a relation's name as SQL writes it: `tags`, `"My Table"`, `app.tags`. */
export function parseName(text: string): WrittenName | undefined {
  const { tokens, fault } = lex(text);
  const named = fault ? undefined : leadingName(tokens);
  return named?.rest.length === 0 ? named.written : undefined;
}

/** Reads `from:`: a relation's name and, if it has one, its alias (`chunks c`, `app.chunks as c`). */
export function parseDriving(text: string): { written: WrittenName; alias: string } | undefined {
  const { tokens, fault } = lex(text);
  const named = fault ? undefined : leadingName(tokens);
  if (!named) return undefined;
  const rest =
    named.rest[0]?.kind === 'word' && named.rest[0].text === 'as' ? named.rest.slice(1) : named.rest;
  if (rest.length === 0)
    return rest === named.rest ? { written: named.written, alias: named.written.name } : undefined;
  const alias = rest.length === 1 ? nameOf(rest[0]) : undefined;
  return alias === undefined ? undefined : { written: named.written, alias };
}

/** A relation found by what the plan wrote, or the nearest name that exists. */
export type Found = { relation: Relation } | { relation?: undefined; nearest?: string };

/** Finds a relation along a search_path, as the server would. */
export function findRelation(relations: Relations, searchPath: string[], written: WrittenName): Found {
  const schemas = written.schema === undefined ? searchPath : [written.schema];
  for (const schema of schemas) {
    const relation = relations.find({ schema, name: written.name });
    if (relation) return { relation };
  }
  return { nearest: nearestRelation(relations, searchPath, written) };
}

function nearestRelation(
  relations: Relations,
  searchPath: string[],
  written: WrittenName,
): string | undefined {
  const elsewhere = relations.all.find(({ name }) => name === written.name);
  if (elsewhere) return writeName(elsewhere, []);
  // Of two with the same name, the one that needs no schema.
  const reachable = (relation: Relation) => Number(searchPath.includes(relation.schema));
  const candidates = relations.all.toSorted((a, b) => reachable(a) - reachable(b));
  const names = new Map(candidates.map((relation) => [relation.name, relation]));
  const name = nearest(written.name, names.keys());
  return name === undefined ? undefined : writeName(names.get(name)!, searchPath);
}

const plain = /^[a-z_][a-z0-9_$]*$/;

/** A name as a plan would write it: quoted where it must be. */
export const writeIdentifier = (name: string): string =>
  plain.test(name) ? name : `"${name.replaceAll('"', '""')}"`;

/** A relation's name as a plan would write it. */
export function writeName(relation: Relation, searchPath: string[]): string {
  const name = writeIdentifier(relation.name);
  return searchPath.includes(relation.schema) ? name : `${writeIdentifier(relation.schema)}.${name}`;
}

/** Finds a table by a name of the plan: the exact text first (`MyTable`), then as SQL reads it (`mytable`). */
export function findTable(relations: Relations, searchPath: string[], text: string): Found {
  const exact = findRelation(relations, searchPath, { name: text });
  if (exact.relation) return exact;
  const displayed = relations.all.filter((relation) => display(relation) === text);
  if (displayed.length === 1) return { relation: displayed[0]! };
  const written = parseName(text);
  return written ? findRelation(relations, searchPath, written) : exact;
}
