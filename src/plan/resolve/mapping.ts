import { type Column, readColumns } from '../../catalog/columns.ts';
import type { Relation } from '../../catalog/relations.ts';
import { display } from '../../pg/quote.ts';
import type { PathSegment } from '../path.ts';
import type { LookupSpec, OutputSpec } from '../plan.ts';
import type { Describer } from '../sql/describe.ts';
import type { Frame } from '../statements/select.ts';
import { findColumn, type MappedColumn, mapColumn, reportMissingValues } from './columns.ts';
import type { ResolveContext } from './context.ts';
import { type PlacedExpression, typeExpressions } from './expressions.ts';
import { findLookup, type LookupTable, lookedUp } from './lookup.ts';

/** A column of an output on its way: the target's, and what is asked of the source for it. */
interface Wanted {
  column: Column;
  expressions: PlacedExpression[];
  path: PathSegment[];
  lookup?: LookupTable;
}

function expressionsOf(value: string | LookupSpec, path: PathSegment[]): PlacedExpression[] {
  if (typeof value === 'string') return [{ text: value, path }];
  if ('idMap' in value) return value.key.map((text) => ({ text, path: [...path, 'key'] }));
  return Object.entries(value.by).map(([name, text]) => ({ text, path: [...path, 'by', name] }));
}

async function findWanted(
  ctx: ResolveContext,
  columns: Column[],
  table: string,
  [name, value]: [string, string | LookupSpec],
  path: PathSegment[],
): Promise<Wanted | undefined> {
  const column = findColumn(ctx, columns, name, table, path);
  const lookup = typeof value === 'string' ? undefined : await findLookup(ctx, value, column, path);
  if (!column || (typeof value !== 'string' && !lookup)) return undefined;
  return { column, path, expressions: expressionsOf(value, path), ...(lookup && { lookup }) };
}

/**
 * Fits the columns of an output to its target table: what each expression is on the source, how it gets into its column,
 * and where values are looked up. Undefined when something is wrong, which is reported.
 * `partly`: the rows are there, so that columns may be left out.
 */
export async function resolveColumns(
  ctx: ResolveContext,
  describer: Describer,
  source: { frame: Frame; known: ReadonlySet<string> },
  { target, partly }: { target: Relation; partly: boolean },
  mapping: OutputSpec['columns'],
  path: PathSegment[],
): Promise<MappedColumn[] | undefined> {
  const columns = (await readColumns(ctx.target.session, [target.oid])).get(target.oid) ?? [];
  const table = display(target);
  if (!partly) reportMissingValues(ctx, columns, new Set(Object.keys(mapping)), table, [...path, 'columns']);
  const mapped: (MappedColumn | undefined)[] = [];
  for (const entry of Object.entries(mapping)) {
    const at = [...path, 'columns', entry[0]];
    const wanted = await findWanted(ctx, columns, table, entry, at);
    const given = expressionsOf(entry[1], at);
    const typed = await typeExpressions(ctx, describer, source.frame, source.known, given);
    if (!wanted || typed.includes(undefined)) mapped.push(undefined);
    else if (wanted.lookup)
      mapped.push(
        lookedUp(
          ctx,
          wanted.column,
          wanted.lookup,
          typed.map((each) => each!),
          given,
        ),
      );
    else mapped.push(mapColumn(ctx, typed[0]!, wanted.column, at));
  }
  return mapped.every((each) => each !== undefined) ? mapped : undefined;
}
