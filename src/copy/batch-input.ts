import { RowfleetError } from '../errors.ts';
import type { ClaimedTask } from '../ledger/claim.ts';
import type { Tally } from '../ledger/fence.ts';
import type { Seal } from '../ledger/seal.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedFlow, ResolvedPlan } from '../plan/resolved-plan.ts';
import type { Transforms } from '../transform/transform.ts';
import type { QuarantineTally } from './corner/corner-batch.ts';

/** What a loader works on one batch, or rows that are sent again, with. */
export interface CopyBatchInput {
  plan: ResolvedPlan;
  transforms: Transforms;
  claim: ClaimedTask;
  /** The session that holds the claim. */
  target: Session;
  source: Session;
  /** For the values of rows that are refused. */
  seal: Seal;
  signal: AbortSignal;
  /** Hears of the bytes of each chunk as it passes. */
  onBytes: (bytes: number) => void;
}

/** The flow that a task is of. Throws FLOW_UNKNOWN. */
export function flowOf(plan: ResolvedPlan, claim: ClaimedTask): ResolvedFlow {
  const flow = plan.flows.find((candidate) => candidate.name === claim.flow);
  if (flow === undefined) throw new RowfleetError('FLOW_UNKNOWN', `the plan has no flow "${claim.flow}"`);
  return flow;
}

/** What a batch carried: rows that the source yielded and the target took, and bytes of COPY data. */
export type CopyTally = Tally & QuarantineTally;
