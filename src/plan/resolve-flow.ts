import { type Column, readColumns } from '../catalog/columns.ts';
import type { Relation } from '../catalog/relations.ts';
import { display, ident } from '../pg/quote.ts';
import type { ResolveContext } from './context.ts';
import type { Describer } from './describe.ts';
import { findRelation, findTable, parseDriving } from './names.ts';
import { findColumn, type MappedColumn, mapColumn, reportMissingValues } from './resolve-columns.ts';
import { type Frame, reportServerError, typeExpressions } from './resolve-expressions.ts';
import { loadable, lockable, reportMissing, resolveLeaves, withTrees } from './resolve-relations.ts';
import { batchSelect, fromClause, whereClause } from './select.ts';
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

/** What the server makes of the statement that will be copied, with a range in it: columns, types, privileges, tables read. */
async function proveStatement(
  ctx: ResolveContext,
  describer: Describer,
  flow: ResolvedFlow,
  path: PathSegment[],
): Promise<number[] | undefined> {
  const [leaf] = flow.leaves;
  const list = flow.columns.map((column) => `(${column.copyExpression}\n)`).join(', ');
  const statement = leaf
    ? batchSelect(flow, { leaf, fromBlock: 1, toBlock: 2 })
    : `select ${list} ${fromClause(flow)} ${whereClause(flow)}`;
  const described = await describer.describe(statement);
  if (described.error) {
    reportServerError(ctx, described.error, path);
    return undefined;
  }
  if (described.columns.length !== flow.columns.length) {
    const count = `${described.columns.length} columns instead of ${flow.columns.length}`;
    ctx.problems.error(path, `its SELECT gives ${count}`, 'Write one expression for each column.');
    return undefined;
  }
  const compared = flow.columns.map((column) => `(${column.compareExpression}\n)`).join(', ');
  const comparison = await describer.describe(`select ${compared} ${fromClause(flow)} ${whereClause(flow)}`);
  const whole = comparison.error
    ? comparison
    : await describer.explain(`select ${list} ${fromClause(flow)} ${whereClause(flow)}`);
  const ranged = whole.error ? whole : await describer.explain(statement);
  if (ranged.error) {
    reportServerError(ctx, ranged.error, path);
    return undefined;
  }
  return [
    ...new Set([
      ...('reads' in whole && whole.reads ? whole.reads : []),
      ...('reads' in ranged ? ranged.reads! : []),
    ]),
  ];
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
    leaves: pieces.leaves,
    target: { schema: target.schema, name: target.name },
    columns: mapped.map(({ column }) => column),
    format: mapped.every(({ binary }) => binary) ? 'binary' : 'text',
    reads: pieces.reads,
  };
  const oids = await proveStatement(ctx, describer, flow, path);
  if (!oids || !fillable) return undefined;
  const read = withTrees(ctx.source, [...oids, driving.oid]);
  return { flow: { ...flow, reads: lockable(read) }, target, path };
}
