import { landingOf } from '../../copy/landing.ts';
import { landingIn } from '../../ledger/candidates.ts';
import { display } from '../../pg/quote.ts';
import { writtenTransform } from '../../plan/read/transform.ts';
import type { ResolvedFlow, ResolvedPlan } from '../../plan/resolved-plan.ts';
import { backfillLock, backfillStatement } from '../../plan/statements/backfill.ts';
import {
  blockRange,
  copyOutOfAll,
  copyOutStatement,
  isCutByKey,
  keyRange,
  leaderOf,
  rangeColumnOf,
  readTogether,
} from '../../plan/statements/select.ts';
import type { CopyFormat } from '../../wire/relay-types.ts';

/** What stands for the id of a run that there is not yet. */
export const noRun = '<run>';

/** What brings the rows of a batch into one target table. */
export interface OutputStatements {
  flow: string;
  /** Display name of the target table. */
  to: string;
  /** For the target, in their order: COPY; where values are looked up, a stage before it, and what lands rows from there behind it. */
  statements: string[];
}

/** The statements that copy one flow, over a whole leaf each; a batch's have the bounds of its range besides. */
export interface FlowStatements {
  /** What the plan calls it. */
  flow: string;
  /** Display name of the driving table. */
  from: string;
  /** Of the source's COPY. */
  format: CopyFormat;
  /** What its rows go through, as the plan names it. */
  transform?: string;
  /** What its batches are: ranges of blocks, ranges of a column's values, or all of it at once. */
  batches: { kind: 'blocks' } | { kind: 'whole' } | { kind: 'key'; column: string };
  /** One a leaf of the driving table, for the source; none where rows are updated in place. */
  copyOut: string[];
  /** Several where one COPY of the source feeds them. */
  outputs: OutputStatements[];
}

function batchesOf(flow: ResolvedFlow): FlowStatements['batches'] {
  const column = rangeColumnOf(flow);
  if (column !== undefined) return { kind: 'key', column };
  return { kind: !isCutByKey(flow) && flow.leaves.every((leaf) => leaf.hasCtid) ? 'blocks' : 'whole' };
}

const everything = { from: null, to: null };

function copyOutOf(plan: ResolvedPlan, leader: ResolvedFlow): string[] {
  if (leader.backfill !== undefined) return [];
  const flows = readTogether(plan, leader);
  const ranges = isCutByKey(leader)
    ? [keyRange(leader, everything)]
    : leader.leaves.map((leaf) => blockRange(leaf, 0, null));
  return ranges.map((range) =>
    flows.length === 1 ? copyOutStatement(leader, range) : copyOutOfAll(flows, range).statement,
  );
}

/** When a transform's rows come as text although their types have a binary form. */
const insteadOfBinary = '/* from a row on that only text tells */';

function outputOf(plan: ResolvedPlan, flow: ResolvedFlow, number: number): OutputStatements {
  const output = { flow: flow.name, to: display(flow.target) };
  if (flow.backfill !== undefined) {
    const range = keyRange(flow, everything);
    return { ...output, statements: [backfillLock(flow, range), backfillStatement(flow, range)] };
  }
  const { before, statement, binary, after } = landingOf(flow, landingIn(noRun, plan, flow.target), number);
  const copies = binary === undefined ? [statement] : [binary, `${statement} ${insteadOfBinary}`];
  return { ...output, statements: [...before, ...copies, ...after] };
}

/** Describes what copies each flow of a plan, those that are read together as one. */
export function flowStatements(plan: ResolvedPlan): FlowStatements[] {
  return plan.flows
    .filter((flow) => leaderOf(flow) === flow.name)
    .map((leader) => ({
      flow: leader.readWith?.flow ?? leader.name,
      from: display(leader.driving),
      format: leader.format,
      ...(leader.transform ? { transform: writtenTransform(leader.transform) } : {}),
      batches: batchesOf(leader),
      copyOut: copyOutOf(plan, leader),
      outputs: readTogether(plan, leader).map((flow, i) => outputOf(plan, flow, i + 1)),
    }));
}
