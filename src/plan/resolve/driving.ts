import { type Column, readColumns } from '../../catalog/columns.ts';
import type { Relation } from '../../catalog/relations.ts';
import { ident } from '../../pg/quote.ts';
import type { PathSegment } from '../path.ts';
import type { FlowSpec } from '../plan.ts';
import type { ResolvedFlow } from '../resolved-plan.ts';
import type { Describer } from '../sql/describe.ts';
import { findRelation, parseDriving } from '../sql/names.ts';
import type { Frame } from '../statements/select.ts';
import type { ResolveContext } from './context.ts';
import { checkFrames } from './expressions.ts';
import { resolveGrouping } from './grouping.ts';
import { reportMissing, resolveLeaves } from './relations.ts';

/** The driving table of a flow, as its outputs share it. */
export interface Driving {
  relation: Relation;
  columns: Column[];
  frame: Frame;
  leaves: ResolvedFlow['leaves'];
}

const relationName = ({ schema, name, oid }: Relation) => ({ schema, name, oid });

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
