import { readRangeColumns } from '../../catalog/columns.ts';
import type { PathSegment } from '../path.ts';
import type { GroupingSpec } from '../plan.ts';
import type { Grouping } from '../resolved-plan.ts';
import type { Describer } from '../sql/describe.ts';
import type { Frame } from '../statements/select.ts';
import type { ResolveContext } from './context.ts';
import { bareColumn, checkFrames } from './expressions.ts';

/** What a grouping is made of: the driving table with its columns, and the frame it stands in. */
interface Grouped {
  relation: { oid: number };
  columns: { name: string }[];
  frame: Frame;
  leaves: { oid: number }[];
}

/**
 * Holds the expressions of group_by or window_by against the source, and finds the column that batches are ranges of.
 * Undefined when something is wrong with them, which is reported.
 */
export async function resolveGrouping(
  ctx: ResolveContext,
  describer: Describer,
  { relation, columns, frame, leaves }: Grouped,
  spec: GroupingSpec,
  path: PathSegment[],
): Promise<Grouping | undefined> {
  const key = spec.kind === 'group' ? 'group_by' : 'window_by';
  const frames = spec.by.map((expression, i) => ({
    ...{ place: 'key' as const, text: expression },
    frame: { ...frame, grouping: { kind: 'group' as const, by: [expression] } },
    path: spec.by.length === 1 ? [...path, key] : [...path, key, i],
  }));
  const sound = await checkFrames(ctx, describer, frames);
  if (!sound) return undefined;
  const known = new Set(columns.map(({ name }) => name));
  const first = bareColumn(sound[0]!.piece, frame.alias, known, frame.join !== '');
  // The index of an inheritance parent does not lead to its children's rows.
  const inherits = leaves.length > 1 && leaves.some(({ oid }) => oid === relation.oid);
  const ordered = inherits ? [] : await readRangeColumns(ctx.source.session, relation.oid);
  if (first !== undefined && ordered.includes(first)) return { ...spec, rangeColumn: first };
  ctx.problems.warning(
    [...path, key],
    'it is copied in one batch: no index of the driving table begins with its first expression',
    'Fine for a table that is copied in a minute: where a group is refused, it is read dozens of times. For a large one create that index on the source.',
  );
  return spec;
}
