import { landingOf } from '../../copy/landing.ts';
import { landingIn } from '../../ledger/candidates.ts';
import { display } from '../../pg/quote.ts';
import {
  blockRange,
  copyOutOfAll,
  copyOutStatement,
  leaderOf,
  rangeOf,
  readTogether,
} from '../../plan/select.ts';
import type { ResolvedFlow, ResolvedPlan } from '../../plan/types.ts';

/** What stands for the id of a run that there is not yet. */
export const noRun = '<run>';

/** How the rows of a batch come down in one target table. */
export interface OutputStatements {
  flow: string;
  /** Display name of the target table. */
  to: string;
  /** Makes the stage where values are looked up; empty without one. */
  before: string[];
  copyIn: string;
  /** Looks for missing keys and lands the rows from the stage; empty without one. */
  after: string[];
}

/** The statements that copy one flow, over a whole leaf each; a batch's has the bounds of its range besides. */
export interface FlowStatements {
  /** What the plan calls it. */
  flow: string;
  /** Display name of the driving table. */
  from: string;
  format: 'binary' | 'text';
  /** What its batches are: ranges of blocks, ranges of a column's values, or all of it at once. */
  batches: { kind: 'blocks' } | { kind: 'whole' } | { kind: 'key'; column: string };
  /** One a leaf of the driving table, for the source. */
  copyOut: string[];
  /** For the target; several where one COPY of the source feeds them. */
  outputs: OutputStatements[];
}

function batchesOf({ grouping, leaves }: ResolvedFlow): FlowStatements['batches'] {
  if (grouping?.rangeColumn !== undefined) return { kind: 'key', column: grouping.rangeColumn };
  return { kind: grouping === undefined && leaves.every((leaf) => leaf.hasCtid) ? 'blocks' : 'whole' };
}

function copyOutOf(plan: ResolvedPlan, leader: ResolvedFlow): string[] {
  const flows = readTogether(plan, leader);
  const ranges =
    leader.grouping === undefined
      ? leader.leaves.map((leaf) => blockRange(leaf, 0, null))
      : [rangeOf(leader.grouping, null, null)];
  return ranges.map((range) =>
    flows.length === 1 ? copyOutStatement(leader, range) : copyOutOfAll(flows, range).statement,
  );
}

/** Describes what copies each flow of a plan, those that are read together as one. */
export function flowStatements(plan: ResolvedPlan): FlowStatements[] {
  return plan.flows
    .filter((flow) => leaderOf(flow) === flow.name)
    .map((leader) => ({
      flow: leader.readWith?.flow ?? leader.name,
      from: display(leader.driving),
      format: leader.format,
      batches: batchesOf(leader),
      copyOut: copyOutOf(plan, leader),
      outputs: readTogether(plan, leader).map((flow, i) => {
        const { before, statement, after } = landingOf(flow, landingIn(noRun, plan, flow.target), i + 1);
        return { flow: flow.name, to: display(flow.target), before, copyIn: statement, after };
      }),
    }));
}
