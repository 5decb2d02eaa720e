import type { Relation } from '../../catalog/relations.ts';
import { display } from '../../pg/quote.ts';
import type { PathSegment } from '../path.ts';
import type { FlowSpec, OutputSpec } from '../plan.ts';
import type { ResolvedFlow } from '../resolved-plan.ts';
import type { Describer } from '../sql/describe.ts';
import { findTable } from '../sql/names.ts';
import { isBackfill, proveBackfill, resolveBackfill } from './backfill.ts';
import type { ResolveContext } from './context.ts';
import { type Driving, resolveDriving } from './driving.ts';
import { checkFrames } from './expressions.ts';
import { resolveFusion } from './fusion.ts';
import { resolveColumns } from './mapping.ts';
import { proveStatements } from './prove-statements.ts';
import { loadable, lockable, reportMissing, withTrees } from './relations.ts';
import { resolveTransformed } from './transform.ts';

/** A flow held against both catalogs, with the target relation it fills. */
export interface FlowResult {
  flow: ResolvedFlow;
  target: Relation;
  path: PathSegment[];
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
  const updates = target !== undefined && isBackfill(ctx, driving.relation, target);
  const fillable = target !== undefined && loadable(ctx, target, [...path, 'to'], updates);
  const frame = { ...driving.frame, where: both(driving.frame.where, output.where?.trim() ?? '') };
  const text = output.where?.trim();
  const where =
    text === undefined ? [] : [{ place: 'where' as const, text, frame, path: [...path, 'where'] }];
  if (!target || !(await checkFrames(ctx, describer, where))) return undefined;
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
  if (updates && !(await proveBackfill(ctx, describer, flow, path))) return undefined;
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
