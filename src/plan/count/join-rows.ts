import type { PathSegment } from '../path.ts';
import type { JoinRows } from '../plan.ts';
import { amount } from '../problems.ts';
import type { ResolveContext } from '../resolve/context.ts';
import type { FlowResult } from '../resolve/flow.ts';
import type { ResolvedFlow } from '../resolved-plan.ts';
import { leaderOf } from '../statements/select.ts';
import { type Counting, countedWithin } from './counting.ts';
import { countSource, type SourceCounts } from './source-counts.ts';

/** What a join does to driving rows that the plan does not say it may. */
export interface JoinFault {
  message: string;
  /** What would say so. */
  declare: JoinRows;
  /** What else would help. */
  mend: string;
}

/** Holds what a flow's join does against what the plan declares; undefined where that agrees, or cannot be counted. */
export function faultOfJoin(
  { join, joinRows, grouping }: ResolvedFlow,
  counts: SourceCounts,
): JoinFault | undefined {
  const { driving, outputs, yielding = outputs, unmatched = 0 } = counts;
  if (join === '' || grouping?.kind === 'group') return undefined;
  const loses = unmatched > 0 && joinRows !== 'may_lose' && joinRows !== 'any';
  const multiplies = outputs > yielding && joinRows !== 'may_multiply' && joinRows !== 'any';
  if (!loses && !multiplies) return undefined;
  const parts = [
    ...(loses ? [`loses ${amount(unmatched)} of ${amount(driving)} driving rows`] : []),
    ...(multiplies ? [`makes ${amount(outputs)} rows of ${amount(yielding)} driving rows`] : []),
  ];
  const both = unmatched > 0 && outputs > yielding;
  const mends = [
    ...(loses ? ['keep them with a left join'] : []),
    ...(multiplies ? ['add to its ON what picks one joined row'] : []),
  ];
  return {
    message: parts.join(' and '),
    mend: mends.join(', and '),
    declare: both ? 'any' : loses ? 'may_lose' : 'may_multiply',
  };
}

/** Where the join of a flow stands: outputs share it. */
export const placeOfJoin = (path: PathSegment[]): PathSegment[] => [...path.slice(0, 2), 'join'];

/** The most that outputs of one flow say of its join: a fault that is both comes first. */
function worst(faults: JoinFault[]): JoinFault | undefined {
  const rank: Partial<Record<JoinRows, number>> = { any: 2, may_multiply: 1 };
  return faults.toSorted((a, b) => (rank[b.declare] ?? 0) - (rank[a.declare] ?? 0))[0];
}

/** Counts what the joins of flows do to driving rows. What the plan does not declare is reported. */
export async function checkJoins(
  ctx: ResolveContext,
  counting: Counting,
  results: FlowResult[],
): Promise<void> {
  const joined = results.filter(({ flow }) => flow.join !== '' && flow.joinRows !== 'any');
  for (const { flow: leader, path } of joined.filter(({ flow }) => leaderOf(flow) === flow.name)) {
    const at = placeOfJoin(path);
    const faults: JoinFault[] = [];
    let late = false;
    // Each output by its own condition: it may be what picks one of several joined rows.
    for (const { flow } of joined.filter((each) => leaderOf(each.flow) === leader.name)) {
      const what = `rows that the join of ${flow.name} loses or multiplies`;
      const counted = await counting.count(what, (session) => countSource(session, flow));
      if (counted.kind === 'counted') ctx.count.onJoin?.(flow.name, counted.value);
      const fault = counted.kind === 'counted' ? faultOfJoin(flow, counted.value) : undefined;
      if (fault) faults.push(fault);
      late ||= counted.kind === 'late';
    }
    const fault = worst(faults);
    if (fault)
      ctx.problems.error(
        at,
        `it ${fault.message}`,
        `Where that is meant, say so: join_rows: ${fault.declare}. Else ${fault.mend}.`,
      );
    else if (late)
      ctx.problems.warning(
        at,
        `whether it loses or multiplies rows was not counted: that takes more than ${countedWithin} s`,
        'The validator counts it. Where it may, declare it with join_rows.',
      );
  }
}
