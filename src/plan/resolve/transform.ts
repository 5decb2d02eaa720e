import { dirname } from 'node:path';
import { type Column, readColumns } from '../../catalog/columns.ts';
import type { Relation } from '../../catalog/relations.ts';
import { display } from '../../pg/quote.ts';
import { TransformCode } from '../../transform/errors.ts';
import { loadTransform } from '../../transform/load.ts';
import type { ResolvedTransform, TransformInput, TransformOutput } from '../../transform/types.ts';
import { valueTypeOf } from '../../transform/value-type.ts';
import type { PathSegment } from '../path.ts';
import type { OutputSpec } from '../plan.ts';
import { writtenTransform } from '../read/transform.ts';
import type { ResolvedColumn, ResolvedFlow } from '../resolved-plan.ts';
import type { Describer } from '../sql/describe.ts';
import type { Frame } from '../statements/select.ts';
import { findColumn, reportMissingValues } from './columns.ts';
import type { ResolveContext } from './context.ts';
import { digestOf } from './digests.ts';
import { type PlacedExpression, typeExpressions } from './expressions.ts';

/** What a transform takes and what it fills. */
export type TransformColumns = Pick<ResolvedTransform, 'input' | 'output'>;

async function resolveInput(
  ctx: ResolveContext,
  describer: Describer,
  driving: { frame: Frame; columns: Column[] },
  mapping: OutputSpec['columns'],
  path: PathSegment[],
): Promise<TransformInput[] | undefined> {
  const names = Object.keys(mapping);
  const expressions: PlacedExpression[] = [];
  for (const name of names) {
    const at = [...path, 'columns', name];
    const text = mapping[name]!;
    if (typeof text === 'string') expressions.push({ text, path: at });
    else
      ctx.problems.error(
        at,
        'columns are the input of the transform, and nothing is looked up for that',
        'Call idMap of its second argument in the function.',
      );
  }
  if (expressions.length < names.length) return undefined;
  const known = new Set(driving.columns.map(({ name }) => name));
  const typed = await typeExpressions(ctx, describer, driving.frame, known, expressions);
  const input = typed.flatMap((given, i): TransformInput[] => {
    if (given === undefined) return [];
    const column = driving.columns.find(({ name }) => name === given.sourceColumn);
    const { expression, type, typeOid } = given;
    const value = valueTypeOf(ctx.source.types, typeOid);
    return [{ name: names[i]!, expression, type, value, nullable: !column?.notNull }];
  });
  return input.length === names.length ? input : undefined;
}

async function resolveOutput(
  ctx: ResolveContext,
  target: Relation,
  returns: string[] | undefined,
  path: PathSegment[],
): Promise<TransformOutput[] | undefined> {
  const columns = (await readColumns(ctx.target.session, [target.oid])).get(target.oid) ?? [];
  const at = [...path, 'transform', 'returns'];
  const table = display(target);
  const names = returns ?? columns.filter(({ generated }) => !generated).map(({ name }) => name);
  if (returns !== undefined) reportMissingValues(ctx, columns, new Set(returns), table, at);
  const output = names.map((name, i): TransformOutput | undefined => {
    const column = findColumn(ctx, columns, name, table, [...at, i]);
    if (names.indexOf(name) < i) ctx.problems.error([...at, i], `${name} stands in the list twice`);
    if (!column) return undefined;
    const { type, notNull, hasDefault, identity, typeOid } = column;
    const value = valueTypeOf(ctx.target.types, typeOid);
    return { name, type, value, nullable: !notNull, optional: !notNull && !hasDefault && !identity };
  });
  return output.every((each) => each !== undefined) ? output : undefined;
}

/**
 * Holds what a transform takes and fills against both catalogs; its code is not looked at. Undefined when something is
 * wrong, which is reported.
 */
export async function resolveTransformColumns(
  ctx: ResolveContext,
  describer: Describer,
  driving: { frame: Frame; columns: Column[] },
  target: Relation,
  spec: OutputSpec,
  path: PathSegment[],
): Promise<TransformColumns | undefined> {
  const input = await resolveInput(ctx, describer, driving, spec.columns, path);
  const output = await resolveOutput(ctx, target, spec.transform!.returns, path);
  return input && output && { input, output };
}

/** The transform of an output as a run has it: its code is loaded once, to see that it can be. Undefined likewise. */
async function resolveTransform(
  ctx: ResolveContext,
  describer: Describer,
  driving: { frame: Frame; columns: Column[] },
  target: Relation,
  spec: OutputSpec,
  path: PathSegment[],
): Promise<ResolvedTransform | undefined> {
  const columns = await resolveTransformColumns(ctx, describer, driving, target, spec, path);
  const { returns: _, ...code } = spec.transform!;
  try {
    const { hash } = await loadTransform(dirname(ctx.planFile), code);
    return columns && { ...code, ...columns, hash };
  } catch (error) {
    if (!(error instanceof TransformCode)) throw error;
    ctx.problems.error([...path, 'transform'], error.message, error.hint);
    return undefined;
  }
}

async function filledColumns(
  ctx: ResolveContext,
  target: Relation,
  transform: ResolvedTransform,
): Promise<ResolvedColumn[]> {
  const columns = (await readColumns(ctx.target.session, [target.oid])).get(target.oid) ?? [];
  const sameEncoding = ctx.source.facts.encoding === ctx.target.facts.encoding;
  return transform.output.map(({ name }) => {
    const column = columns.find((each) => each.name === name)!;
    return {
      name,
      expression: `${writtenTransform(transform)}(…)`,
      ...{ copyExpression: '', compareExpression: '' },
      ...{ sourceType: column.type, targetType: column.type },
      digest: digestOf(ctx.target.types, column, sameEncoding),
      notNull: column.notNull,
    };
  });
}

/** What becomes of an output's rows where a transform makes them. Undefined when something is wrong, which is reported. */
export async function resolveTransformed(
  ctx: ResolveContext,
  describer: Describer,
  driving: { frame: Frame; columns: Column[] },
  target: Relation,
  spec: OutputSpec,
  path: PathSegment[],
): Promise<Pick<ResolvedFlow, 'transform' | 'columns' | 'format'> | undefined> {
  if (spec.conflict)
    ctx.problems.error(
      [...path, 'on_conflict'],
      'rows that a transform makes are not fused',
      'Leave it out, and choose among the rows of the source with group_by or where.',
    );
  const transform = await resolveTransform(ctx, describer, driving, target, spec, path);
  if (!transform || spec.conflict) return undefined;
  return { transform, columns: await filledColumns(ctx, target, transform), format: 'text' };
}
