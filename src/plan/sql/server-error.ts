import type { Node, RangeVar } from 'libpg-query';
import type pg from 'pg';
import { readColumns } from '../../catalog/columns.ts';
import { readFunctionNames } from '../../catalog/functions.ts';
import { nearest } from '../../nearest.ts';
import { sqlStates } from '../../pg/sql-states.ts';
import type { ResolveContext } from '../resolve/context.ts';
import type { Frame } from '../statements/select.ts';
import { factsOf, type Named } from './facts.ts';
import { characters } from './grammar.ts';
import { findRelation, writeIdentifier } from './names.ts';
import { outputNames } from './output-names.ts';
import { isFault, type Piece, type Place, parsePiece, type TextFault } from './piece.ts';
import { nameOf } from './text.ts';
import { walk } from './walk.ts';

/** A text of the plan inside of a statement that the source was asked about. */
export interface SentText {
  place: Place;
  text: string;
  frame: Frame;
  statement: string;
  /** Where in the statement the text begins. */
  start: number;
}

/** What stands in a FROM clause, by the name that columns are qualified with. */
interface Source {
  alias: string;
  columns: string[];
}

async function columnsOfTable(ctx: ResolveContext, oid: number): Promise<string[]> {
  const columns = await readColumns(ctx.source.session, [oid]);
  return (columns.get(oid) ?? []).map(({ name }) => name);
}

async function sourceOf(ctx: ResolveContext, node: RangeVar): Promise<Source | undefined> {
  const name = { name: node.relname!, ...(node.schemaname && { schema: node.schemaname }) };
  const { relation } = findRelation(ctx.source.relations, ctx.source.searchPath, name);
  return (
    relation && {
      alias: node.alias?.aliasname ?? relation.name,
      columns: await columnsOfTable(ctx, relation.oid),
    }
  );
}

/** Everything that columns of a text may come from: the driving table, what is joined, and its own sub-selects. */
async function sourcesOf(ctx: ResolveContext, frame: Frame, piece: Piece): Promise<Source[]> {
  const join = frame.join === '' ? piece : await parsePiece('join', frame.join);
  const found: Promise<Source | undefined>[] = [];
  for (const { tree } of isFault(join) ? [piece] : [join, piece]) {
    walk(tree as Node[], ({ kind, value }) => {
      if (kind === 'RangeVar') found.push(sourceOf(ctx, value));
      if (kind === 'RangeSubselect')
        found.push(
          Promise.resolve({ alias: value.alias?.aliasname ?? '', columns: outputNames(value.subquery) }),
        );
    });
  }
  const driving = {
    alias: nameOf({ kind: 'identifier', text: frame.alias })!,
    columns: await columnsOfTable(ctx, frame.driving.oid),
  };
  return [driving, ...(await Promise.all(found)).filter((source) => source !== undefined)];
}

async function nearestColumn(
  ctx: ResolveContext,
  frame: Frame,
  piece: Piece,
  { parts }: Named,
): Promise<string | undefined> {
  const sources = await sourcesOf(ctx, frame, piece);
  const wanted = parts.at(-1)!;
  const qualifier = parts.at(-2);
  const meant = sources.filter(({ alias }) => qualifier === undefined || alias === qualifier);
  if (meant.length === 0) {
    const alias = nearest(
      qualifier!,
      sources.map((source) => source.alias),
    );
    return alias && [alias, wanted].map(writeIdentifier).join('.');
  }
  const column = nearest(
    wanted,
    meant.flatMap(({ columns }) => columns),
  );
  return column && [...(qualifier === undefined ? [] : [qualifier]), column].map(writeIdentifier).join('.');
}

async function nearestFunction(ctx: ResolveContext, { parts }: Named): Promise<string | undefined> {
  const { session, searchPath } = ctx.source;
  const schemas = parts.length > 1 ? [parts.at(-2)!] : ['pg_catalog', ...searchPath];
  const names = await readFunctionNames(session, schemas);
  const wanted = parts.at(-1)!;
  // There is one of that name: its arguments are wrong, which the server's own hint is about.
  const near = names.includes(wanted) ? undefined : nearest(wanted, names);
  return near && [...parts.slice(0, -1), near].map(writeIdentifier).join('.');
}

/** The name that exists and is nearest to the one that the server did not find; none for other errors. */
async function nearestName(
  ctx: ResolveContext,
  code: string | undefined,
  piece: Piece,
  frame: Frame,
  character: number,
): Promise<string | undefined> {
  const { columns, calls, tables } = factsOf(piece);
  const here = (named: Named[]) => named.find((each) => each.character === character);
  const [column, call, table] = [here(columns), here(calls), here(tables)];
  if (code === sqlStates.undefinedFunction) return call && nearestFunction(ctx, call);
  if (code === sqlStates.undefinedTable && table) {
    const [name, schema] = table.parts.toReversed();
    const found = findRelation(ctx.source.relations, ctx.source.searchPath, {
      name: name!,
      ...(schema === undefined ? {} : { schema }),
    });
    return found.relation ? undefined : found.nearest;
  }
  const named = code === sqlStates.undefinedColumn || code === sqlStates.undefinedTable;
  return named && column ? nearestColumn(ctx, frame, piece, column) : undefined;
}

/** A server's error as the plan's fault: with the character of the text that it is about, and the name that may have been meant. */
export async function faultOfServerError(
  ctx: ResolveContext,
  error: pg.DatabaseError,
  { place, text, frame, statement, start }: SentText,
): Promise<Pick<TextFault, 'message'> & Partial<TextFault>> {
  const message = `PostgreSQL says: ${error.message}`;
  const character = Number(error.position ?? 0) - characters(statement.slice(0, start));
  if (start < 0 || character < 1 || character > characters(text) + 1)
    return { message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
  const piece = await parsePiece(place, text);
  const near = isFault(piece) ? undefined : await nearestName(ctx, error.code, piece, frame, character);
  const hint = near === undefined ? error.hint : `Did you mean ${near}?`;
  return { message: `${message} (character ${character})`, ...(hint === undefined ? {} : { hint }) };
}
