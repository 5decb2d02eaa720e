import type pg from 'pg';
import { type Column, readColumns } from '../catalog/columns.ts';
import type { Relation } from '../catalog/relations.ts';
import { display, ident } from '../pg/quote.ts';
import type { ResolveContext } from './context.ts';
import type { Describer } from './describe.ts';
import { findRelation, findTable, parseDriving } from './names.ts';
import { findColumn, type MappedColumn, mapColumn, reportMissingValues } from './resolve-columns.ts';
import { type Frame, reportServerError, typeExpressions } from './resolve-expressions.ts';
import { loadable, lockable, reportMissing, resolveLeaves, withTrees } from './resolve-relations.ts';
import { batchSelect, blockRange, fromClause, whereClause } from './select.ts';
import type { FlowSpec, ResolvedFlow } from './types.ts';
import type { PathSegment } from './yaml-document.ts';

/** A flow held against both catalogs, with the target relation it fills. */
export interface FlowResult {
  flow: ResolvedFlow;
  target: Relation;
  path: PathSegment[];
}

const relationName = ({ schema, name, oid }: Relation) => ({ schema, name, oid });

function findEnds(ctx: ResolveContext, spec: FlowSpec, path: PathSegment[]) {
  const { written, alias } = parseDriving(spec.from)!;
  const driving = findRelation(ctx.source.relations, ctx.source.searchPath, written);
  const target = findTable(ctx.target.relations, ctx.target.searchPath, spec.to);
  reportMissing(ctx, 'source', [...path, 'from'], spec.from, driving);
  reportMissing(ctx, 'target', [...path, 'to'], spec.to, target);
  return { driving: driving.relation, target: target.relation, alias: ident(alias) };
}

/** Reports a failure of the whole at the column that alone fails as well; at the flow when it takes several. */
async function reportAtColumn(
  ctx: ResolveContext,
  describer: Describer,
  flow: ResolvedFlow,
  whole: pg.DatabaseError,
  path: PathSegment[],
): Promise<void> {
  for (const column of flow.columns) {
    for (const expression of [column.copyExpression, column.compareExpression]) {
      const { error } = await describer.describe(
        `select (${expression}\n) ${fromClause(flow)} ${whereClause(flow)}`,
      );
      if (!error) continue;
      reportServerError(ctx, error, [...path, 'columns', column.name]);
      return;
    }
  }
  reportServerError(ctx, whole, path, 'Run the SELECT that --dry-run shows in psql.');
}

const selectAll = (flow: ResolvedFlow, expressions: string[]): string =>
  `select ${expressions.map((each) => `(${each}\n)`).join(', ')} ${fromClause(flow)} ${whereClause(flow)}`;

/**
 * What the server makes of the statements that loaders and the validator will run, one with a range in it: whether
 * they are valid, how many columns they have, whether their tables may be read, and which those are.
 */
async function proveStatements(
  ctx: ResolveContext,
  describer: Describer,
  flow: ResolvedFlow,
  path: PathSegment[],
): Promise<number[] | undefined> {
  const copied = selectAll(
    flow,
    flow.columns.map((column) => column.copyExpression),
  );
  const compared = selectAll(
    flow,
    flow.columns.map((column) => column.compareExpression),
  );
  const ranges = flow.leaves.slice(0, 1).map((leaf) => batchSelect(flow, blockRange(leaf, 1, 2)));
  const reads = new Set<number>();
  for (const statement of [copied, compared, ...ranges]) {
    const described = await describer.describe(statement);
    const explained = described.error ? described : await describer.explain(statement);
    if (explained.error) {
      await reportAtColumn(ctx, describer, flow, explained.error, path);
      return undefined;
    }
    const count = described.columns?.length;
    if (count !== flow.columns.length) {
      const message = `its SELECT gives ${count} columns instead of ${flow.columns.length}`;
      ctx.problems.error(path, message, 'Write one expression for each column.');
      return undefined;
    }
    for (const oid of 'reads' in explained ? (explained.reads ?? []) : []) reads.add(oid);
  }
  return [...reads];
}

async function mapColumns(
  ctx: ResolveContext,
  describer: Describer,
  frame: Frame,
  spec: FlowSpec,
  ends: { driving: Relation; target: Relation },
  path: PathSegment[],
): Promise<MappedColumn[] | undefined> {
  const columns: Column[] =
    (await readColumns(ctx.target.session, [ends.target.oid])).get(ends.target.oid) ?? [];
  const sourceColumns =
    (await readColumns(ctx.source.session, [ends.driving.oid])).get(ends.driving.oid) ?? [];
  const table = display(ends.target);
  const names = Object.keys(spec.columns);
  reportMissingValues(ctx, columns, new Set(names), table, [...path, 'columns']);
  const known = new Set(sourceColumns.map(({ name }) => name));
  const typed = await typeExpressions(ctx, describer, frame, spec, known, path);
  const mapped = names.map((name) => {
    const at = [...path, 'columns', name];
    const column = findColumn(ctx, columns, name, table, at);
    const given = typed?.get(name);
    return column && given ? mapColumn(ctx, given, column, at) : undefined;
  });
  return typed && mapped.every((each) => each !== undefined) ? mapped : undefined;
}

/** Holds one flow of the plan against both catalogs. None when something is wrong with it, which is reported. */
export async function resolveFlow(
  ctx: ResolveContext,
  describer: Describer,
  spec: FlowSpec,
  path: PathSegment[],
): Promise<FlowResult | undefined> {
  const { driving, target, alias } = findEnds(ctx, spec, path);
  const fillable = target !== undefined && loadable(ctx, target, [...path, 'to']);
  const pieces = driving && resolveLeaves(ctx, driving, false, [...path, 'from']);
  if (!driving || !target || !pieces) return undefined;
  const frame: Frame = {
    driving: relationName(driving),
    only: false,
    alias,
    join: spec.join?.trim() ?? '',
    where: spec.where?.trim() ?? '',
  };
  const mapped = await mapColumns(ctx, describer, frame, spec, { driving, target }, path);
  if (!mapped) return undefined;
  const flow: ResolvedFlow = {
    name: spec.name,
    ...frame,
    drivingKey: [],
    leaves: pieces.leaves,
    target: { schema: target.schema, name: target.name },
    columns: mapped.map(({ column }) => column),
    format: mapped.every(({ binary }) => binary) ? 'binary' : 'text',
    reads: pieces.reads,
  };
  const oids = await proveStatements(ctx, describer, flow, path);
  if (!oids || !fillable) return undefined;
  const read = withTrees(ctx.source, [...oids, driving.oid]);
  return { flow: { ...flow, reads: lockable(read) }, target, path };
}
