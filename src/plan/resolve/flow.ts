import type pg from 'pg';
import { type Column, readColumns } from '../../catalog/columns.ts';
import type { Relation } from '../../catalog/relations.ts';
import { display, ident } from '../../pg/quote.ts';
import type { PathSegment } from '../read/yaml-document.ts';
import type { Describer } from '../sql/describe.ts';
import { findRelation, findTable, parseDriving } from '../sql/names.ts';
import {
  batchSelect,
  blockRange,
  carried,
  carriedFor,
  type Frame,
  isCutByKey,
  keyRange,
  selectRows,
} from '../statements/select.ts';
import type { FlowSpec, OutputSpec, ResolvedColumn, ResolvedFlow } from '../types.ts';
import { isBackfill, resolveBackfill } from './backfill.ts';
import type { ResolveContext } from './context.ts';
import { checkFrames, reportServerError } from './expressions.ts';
import { resolveFusion } from './fusion.ts';
import { resolveGrouping } from './grouping.ts';
import { resolveColumns } from './mapping.ts';
import { loadable, lockable, reportMissing, resolveLeaves, withTrees } from './relations.ts';
import { resolveTransformed } from './transform.ts';

/** A flow held against both catalogs, with the target relation it fills. */
export interface FlowResult {
  flow: ResolvedFlow;
  target: Relation;
  path: PathSegment[];
}

/** The driving table of a flow, as its outputs share it. */
export interface Driving {
  relation: Relation;
  columns: Column[];
  frame: Frame;
  leaves: ResolvedFlow['leaves'];
}

const relationName = ({ schema, name, oid }: Relation) => ({ schema, name, oid });

/** Reports a failure of the whole at the column that alone fails as well; at the flow when it takes several. */
async function reportAtColumn(
  ctx: ResolveContext,
  describer: Describer,
  flow: ResolvedFlow,
  whole: pg.DatabaseError,
  path: PathSegment[],
): Promise<void> {
  for (const column of flow.transform ? carried(flow) : flow.columns) {
    for (const { copyExpression, compareExpression } of carriedFor(column)) {
      for (const expression of [copyExpression, compareExpression]) {
        const statement = selectRows(flow, [`(${expression}\n)`]);
        const { error } = await describer.describe(statement);
        if (!error) continue;
        const text = column.expression;
        const sent = {
          place: 'column',
          text,
          frame: flow,
          statement,
          start: statement.indexOf(text),
        } as const;
        await reportServerError(ctx, error, [...path, 'columns', column.name], sent);
        return;
      }
    }
  }
  ctx.problems.error(
    path,
    `PostgreSQL says: ${whole.message}`,
    'Run the SELECT that --dry-run shows in psql.',
  );
}

const selectAll = (flow: ResolvedFlow, pick: (column: ResolvedColumn) => string): string =>
  selectRows(
    flow,
    carried(flow).map((column) => `(${pick(column)}\n)`),
  );

/** A statement of a batch, with a range in it. */
function oneBatch(flow: ResolvedFlow): string[] {
  if (isCutByKey(flow)) return [batchSelect(flow, keyRange(flow, { from: null, to: null }))];
  return flow.leaves.slice(0, 1).map((leaf) => batchSelect(flow, blockRange(leaf, 1, 2)));
}

/**
 * What the server makes of the statements that loaders and the validator will run, one with a range in it: whether
 * they are valid, how many columns they have, whether their tables may be read, and which those are.
 */
export async function proveStatements(
  ctx: ResolveContext,
  describer: Describer,
  flow: ResolvedFlow,
  path: PathSegment[],
): Promise<number[] | undefined> {
  const copied = selectAll(flow, (column) => column.copyExpression);
  const compared = selectAll(flow, (column) => column.compareExpression);
  const expected = carried(flow).length;
  const reads = new Set<number>();
  for (const statement of [copied, compared, ...oneBatch(flow)]) {
    const described = await describer.describe(statement);
    const explained = described.error ? described : await describer.explain(statement);
    if (explained.error) {
      await reportAtColumn(ctx, describer, flow, explained.error, path);
      return undefined;
    }
    const count = described.columns?.length;
    if (count !== expected) {
      const message = `its SELECT gives ${count} columns instead of ${expected}`;
      ctx.problems.error(path, message, 'Write one expression for each column.');
      return undefined;
    }
    for (const oid of 'reads' in explained ? (explained.reads ?? []) : []) reads.add(oid);
  }
  return [...reads];
}

/** The driving table of a flow with what is joined to it. Undefined when something is wrong with it, which is reported. */
export async function resolveDriving(
  ctx: ResolveContext,
  describer: Describer,
  spec: Pick<FlowSpec, 'from' | 'join' | 'where' | 'grouping'>,
  path: PathSegment[],
): Promise<Driving | undefined> {
  const { written, alias } = parseDriving(spec.from)!;
  const found = findRelation(ctx.source.relations, ctx.source.searchPath, written);
  reportMissing(ctx, 'source', [...path, 'from'], spec.from, found);
  const { relation } = found;
  const pieces = relation && resolveLeaves(ctx, relation, false, [...path, 'from']);
  if (!relation || !pieces) return undefined;
  const columns = (await readColumns(ctx.source.session, [relation.oid])).get(relation.oid) ?? [];
  const bare: Frame = {
    driving: relationName(relation),
    only: false,
    alias: ident(alias),
    join: '',
    where: '',
  };
  const joined = { ...bare, join: spec.join?.trim() ?? '' };
  const filtered = { ...joined, where: spec.where?.trim() ?? '' };
  const { join, where } = filtered;
  const right = await checkFrames(ctx, describer, [
    ...(join === '' ? [] : [{ place: 'join' as const, text: join, frame: joined, path: [...path, 'join'] }]),
    ...(where === ''
      ? []
      : [{ place: 'where' as const, text: where, frame: filtered, path: [...path, 'where'] }]),
  ]);
  if (!right) return undefined;
  const driving = { relation, columns, frame: filtered, leaves: pieces.leaves };
  if (spec.grouping === undefined) return driving;
  const grouping = await resolveGrouping(ctx, describer, driving, spec.grouping, path);
  return grouping && { ...driving, frame: { ...filtered, grouping } };
}

const both = (a: string, b: string): string => (a === '' ? b : b === '' ? a : `(${a}\n) and (${b}\n)`);

/** What becomes of an output's rows on their way. */
type ResolvedRows = Pick<ResolvedFlow, 'columns' | 'fusion' | 'format'>;

async function resolveRows(
  ctx: ResolveContext,
  describer: Describer,
  { frame, columns }: Pick<Driving, 'frame' | 'columns'>,
  into: { target: Relation; partly: boolean },
  output: OutputSpec,
  path: PathSegment[],
): Promise<ResolvedRows | undefined> {
  const known = new Set(columns.map(({ name }) => name));
  const mapped = await resolveColumns(ctx, describer, { frame, known }, into, output.columns, path);
  if (!mapped) return undefined;
  const filled = new Set(mapped.map(({ column }) => column.name));
  const fused =
    output.conflict &&
    (await resolveFusion(
      ctx,
      describer,
      { frame, known },
      output.conflict,
      { target: into.target, filled },
      path,
    ));
  if (output.conflict && !fused) return undefined;
  return {
    columns: mapped.map(({ column }) => column),
    ...(fused && { fusion: { ...fused.fusion, ordinal: 0 } }),
    format: mapped.every(({ binary }) => binary) && (fused?.binary ?? true) ? 'binary' : 'text',
  };
}

async function resolveOutput(
  ctx: ResolveContext,
  describer: Describer,
  driving: Driving,
  output: OutputSpec,
  path: PathSegment[],
): Promise<FlowResult | undefined> {
  const found = findTable(ctx.target.relations, ctx.target.searchPath, output.to);
  reportMissing(ctx, 'target', [...path, 'to'], output.to, found);
  const target = found.relation;
  const fillable = target !== undefined && loadable(ctx, target, [...path, 'to']);
  const frame = { ...driving.frame, where: both(driving.frame.where, output.where?.trim() ?? '') };
  const text = output.where?.trim();
  const where =
    text === undefined ? [] : [{ place: 'where' as const, text, frame, path: [...path, 'where'] }];
  if (!target || !(await checkFrames(ctx, describer, where))) return undefined;
  const updates = isBackfill(ctx, driving.relation, target);
  const backfill = updates ? await resolveBackfill(ctx, driving, output, path) : undefined;
  if (updates && !backfill) return undefined;
  const from = { frame, columns: driving.columns };
  const into = { target, partly: updates };
  const rows = output.transform
    ? await resolveTransformed(ctx, describer, from, target, output, path)
    : await resolveRows(ctx, describer, from, into, output, path);
  if (!rows) return undefined;
  const flow: ResolvedFlow = {
    name: output.name,
    ...frame,
    drivingKey: [],
    leaves: driving.leaves,
    target: { schema: target.schema, name: target.name },
    ...rows,
    ...(backfill && { backfill }),
    reads: [],
  };
  const oids = await proveStatements(ctx, describer, flow, path);
  if (!oids || !fillable) return undefined;
  const read = withTrees(ctx.source, [...oids, driving.relation.oid]);
  return { flow: { ...flow, reads: lockable(read) }, target, path };
}

/** Flows that one COPY of the source feeds: in one format, under the locks of all. The first is the one that has batches. */
function readTogether(results: FlowResult[], spec: FlowSpec): FlowResult[] {
  if (results.length < 2) return results;
  const where = spec.where?.trim() ?? '';
  const flows = results.map(({ flow }) => flow);
  const format = flows.every((flow) => flow.format === 'binary') ? 'binary' : 'text';
  const reads = [
    ...new Map(flows.flatMap((flow) => flow.reads).map((each) => [display(each), each])).values(),
  ];
  const shared = {
    format,
    reads: reads.toSorted((a, b) => (display(a) < display(b) ? -1 : 1)),
  } as const;
  return results.map((result, i) => {
    const readWith = {
      flow: spec.name,
      leader: flows[0]!.name,
      where,
      own: spec.outputs[i]?.where?.trim() ?? '',
    };
    return { ...result, flow: { ...result.flow, ...shared, readWith } };
  });
}

/** Holds one flow of the plan against both catalogs: a result for each of its outputs. None when something is wrong with it, which is reported. */
export async function resolveFlow(
  ctx: ResolveContext,
  describer: Describer,
  spec: FlowSpec,
  path: PathSegment[],
): Promise<FlowResult[]> {
  const driving = await resolveDriving(ctx, describer, spec, path);
  const results: FlowResult[] = [];
  for (const output of driving ? spec.outputs : []) {
    if (output.transform && spec.outputs.length > 1) {
      ctx.problems.error(
        [...path, ...output.path, 'transform'],
        'one of several outputs cannot have a transform',
        'Make it a flow of its own.',
      );
      continue;
    }
    const result = await resolveOutput(ctx, describer, driving!, output, [...path, ...output.path]);
    if (result) results.push(result);
  }
  const { joinRows } = spec;
  const declared = results.map((result) =>
    joinRows === 'exact' ? result : { ...result, flow: { ...result.flow, joinRows } },
  );
  // Where one output is wrong, nothing is read at all.
  return results.length === spec.outputs.length ? readTogether(declared, spec) : declared;
}
