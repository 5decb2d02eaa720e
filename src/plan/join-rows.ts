import { sqlState } from '../pg/errors.ts';
import { sqlStates } from '../pg/sql-states.ts';
import type { ResolveContext } from './context.ts';
import type { Describer } from './describe.ts';
import type { FlowResult } from './resolve-flow.ts';
import { leaderOf } from './select.ts';
import { countSource, type SourceCounts } from './source-counts.ts';
import type { JoinRows, ResolvedFlow } from './types.ts';

/** What a join does to driving rows that the plan does not say it may. */
export interface JoinFault {
  message: string;
  /** What would say so. */
  declare: JoinRows;
}

const n = (rows: number): string => rows.toLocaleString('en');

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
    ...(loses ? [`loses ${n(unmatched)} of ${n(driving)} driving rows`] : []),
    ...(multiplies ? [`makes ${n(outputs)} rows of ${n(yielding)} driving rows`] : []),
  ];
  const both = unmatched > 0 && outputs > yielding;
  return {
    message: parts.join(' and '),
    declare: both ? 'any' : loses ? 'may_lose' : 'may_multiply',
  };
}

/** Seconds that counting what joins do may take before a run, over all flows. */
const countedWithin = 15;

/** Counts what the joins of flows do to driving rows, as long as that takes seconds. What the plan does not declare is reported. */
export async function checkJoins(
  ctx: ResolveContext,
  describer: Describer,
  results: FlowResult[],
): Promise<void> {
  const began = performance.now();
  for (const { flow, path } of results) {
    if (flow.join === '' || flow.joinRows === 'any' || leaderOf(flow) !== flow.name) continue;
    const at = [...path, 'join'];
    const left = countedWithin - (performance.now() - began) / 1000;
    const counted =
      left > 0 ? await describer.within(left, (session) => countSource(session, flow)) : undefined;
    if (counted?.value) {
      const fault = faultOfJoin(flow, counted.value);
      if (fault)
        ctx.problems.error(
          at,
          `it ${fault.message}`,
          `Where that is meant, say so: join_rows: ${fault.declare}. Else mend the join.`,
        );
    } else if (counted === undefined || sqlState(counted.error) === sqlStates.queryCanceled) {
      ctx.problems.warning(
        at,
        `whether it loses or multiplies rows was not counted: that takes more than ${countedWithin} s`,
        'The validator counts it. Where it may, declare it with join_rows.',
      );
    }
  }
}
