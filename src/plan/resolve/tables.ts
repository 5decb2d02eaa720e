import { type Column, readColumns } from '../../catalog/columns.ts';
import { isTableOfItsOwn, kindNames, type Relation } from '../../catalog/relations.ts';
import { display, ident } from '../../pg/quote.ts';
import type { PathSegment } from '../path.ts';
import type { Plan } from '../plan.ts';
import { findTable, writeName } from '../sql/names.ts';
import { findColumn, mapColumn, reportMissingValues } from './columns.ts';
import type { ResolveContext } from './context.ts';
import type { FlowResult } from './flow.ts';
import { loadable, reportMissing, resolveLeaves } from './relations.ts';

const alias = ident('t');

interface Chosen {
  table: Relation;
  path: PathSegment[];
}

/** The source's tables that `tables:` means. */
function chooseTables(ctx: ResolveContext, plan: Plan): Chosen[] {
  const { relations, searchPath } = ctx.source;
  if (plan.tables === '*') {
    const all = relations.all.filter(isTableOfItsOwn);
    if (all.length === 0)
      ctx.problems.error(['tables'], 'the source holds no tables', 'Check which database it names.');
    return all.map((table) => ({ table, path: ['tables'] }));
  }
  const chosen = new Map<number, Chosen>();
  for (const [i, text] of plan.tables.entries()) {
    const path = ['tables', i];
    const found = findTable(relations, searchPath, text);
    reportMissing(ctx, 'source', path, text, found);
    if (!found.relation) continue;
    if (chosen.has(found.relation.oid))
      ctx.problems.error(path, `${text} is ${display(found.relation)}, which stands in the list already`);
    chosen.set(found.relation.oid, { table: found.relation, path });
  }
  return [...chosen.values()];
}

interface Pair extends Chosen {
  target: Relation;
  sourceColumns: Column[];
  targetColumns: Column[];
}

async function pair(ctx: ResolveContext, chosen: Chosen[]): Promise<Pair[]> {
  const pairs = chosen.flatMap(({ table, path }) => {
    const target = ctx.target.relations.find(table);
    if (!target) {
      const name = writeName(table, []);
      ctx.problems.error(
        path,
        `there is no table ${name} in the target`,
        'Create it there, or name the file that creates it under schema.',
      );
      return [];
    }
    return loadable(ctx, target, path) ? [{ table, path, target }] : [];
  });
  const ofSource = await readColumns(
    ctx.source.session,
    pairs.map(({ table }) => table.oid),
  );
  const ofTarget = await readColumns(
    ctx.target.session,
    pairs.map(({ target }) => target.oid),
  );
  return pairs.map((each) => ({
    ...each,
    sourceColumns: ofSource.get(each.table.oid) ?? [],
    targetColumns: ofTarget.get(each.target.oid) ?? [],
  }));
}

/** Source columns with a place in the target, by name; the target computes its generated ones again. */
function mapByName(ctx: ResolveContext, { table, path, target, sourceColumns, targetColumns }: Pair) {
  const name = display(target);
  const generated = new Set(targetColumns.filter((column) => column.generated).map((column) => column.name));
  const copied = sourceColumns.filter((column) => !generated.has(column.name));
  const mapped = copied.map((column) => {
    const into = findColumn(ctx, targetColumns, column.name, name, path);
    const expression = `${alias}.${ident(column.name)}`;
    return into && mapColumn(ctx, { expression, ...column, sourceColumn: column.name }, into, path);
  });
  const names = new Set(copied.map((column) => column.name));
  reportMissingValues(ctx, targetColumns, names, name, path);
  const surplus = targetColumns.filter((column) => !names.has(column.name) && !column.generated);
  if (surplus.length > 0) {
    const list = surplus.map((column) => column.name).join(', ');
    // COPY without a column list means all of them.
    if (names.size === 0) ctx.problems.error(path, `${name} has columns, ${display(table)} has none`);
    else
      ctx.problems.warning(
        path,
        `${name} has columns that the source lacks: ${list}`,
        'They get their default, or NULL.',
      );
  }
  return mapped;
}

/** What each table's flow is called: `tags`, `app.tags`; with quotes only where two would read the same. */
function nameFlows(ctx: ResolveContext, pairs: Pair[]): string[] {
  const written = pairs.map(({ table }) => writeName(table, ctx.source.searchPath));
  const bare = written.map((name) => name.replaceAll('"', ''));
  const count = new Map<string, number>();
  for (const name of bare) count.set(name, (count.get(name) ?? 0) + 1);
  return bare.map((name, i) => (count.get(name) === 1 ? name : written[i]!));
}

function resolveTable(ctx: ResolveContext, each: Pair, name: string, only: boolean): FlowResult | undefined {
  const { table, path, target } = each;
  const pieces = resolveLeaves(ctx, table, only, path);
  const mapped = mapByName(ctx, each);
  if (!pieces || !mapped.every((column) => column !== undefined)) return undefined;
  const flow = {
    name,
    driving: { schema: table.schema, name: table.name, oid: table.oid },
    drivingKey: [],
    only,
    alias,
    leaves: pieces.leaves,
    join: '',
    where: '',
    target: { schema: target.schema, name: target.name },
    columns: mapped.map(({ column }) => column),
    format: mapped.every(({ binary }) => binary) ? ('binary' as const) : ('text' as const),
    reads: pieces.reads,
  };
  return { flow, target, path };
}

/** A flow for each table of `tables:`, under the same name and with the same columns. What is wrong is reported. */
export async function resolveTables(ctx: ResolveContext, plan: Plan): Promise<FlowResult[]> {
  const pairs = await pair(ctx, chooseTables(ctx, plan));
  const copied = new Set(pairs.map(({ table }) => table.oid));
  const names = nameFlows(ctx, pairs);
  return pairs.flatMap((each, i) => {
    const children = each.table.kind === 'r' ? ctx.source.relations.children(each.table) : [];
    const apart = children.filter(({ oid }) => copied.has(oid));
    // Inheritance: children that are copied as tables of their own must not come a second time with their parent.
    if (apart.length > 0 && apart.length < children.length) {
      const left = children.filter(({ oid }) => !copied.has(oid)).map(display);
      ctx.problems.error(
        each.path,
        `some tables that inherit from ${display(each.table)} are copied and some are not: ${left.join(', ')}`,
        `Name all of them (each is a ${kindNames.r} of its own), or none.`,
      );
      return [];
    }
    return resolveTable(ctx, each, names[i]!, apart.length > 0) ?? [];
  });
}
