import { capture } from '../constraints/capture.ts';
import type { CapturedObject, KeptObject } from '../constraints/types.ts';
import { display } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { blockRange, copyInStatement, copyOutStatement } from '../plan/select.ts';
import type { ResolvedPlan } from '../plan/types.ts';

/** The statements that copy one flow, over a whole leaf each; a batch's has the bounds of its range besides. */
export interface FlowStatements {
  flow: string;
  /** Display names of the driving table and the target table. */
  from: string;
  to: string;
  format: 'binary' | 'text';
  /** One a leaf of the driving table, for the source. */
  copyOut: string[];
  /** For the target. */
  copyIn: string;
}

/** What a run of a plan would execute. */
export interface Preview {
  flows: FlowStatements[];
  /** In the order in which they come back; they are taken down in the reverse one. */
  objects: CapturedObject[];
  /** What could have come down but stays up, and why. */
  kept: KeptObject[];
}

/** Describes what a run would execute. Only reads, in the transaction that `target` stands in. */
export async function previewRun(resolved: ResolvedPlan, target: Session): Promise<Preview> {
  const { objects, kept } = await capture(target, resolved.targets);
  return {
    flows: resolved.flows.map((flow) => ({
      flow: flow.name,
      from: display(flow.driving),
      to: display(flow.target),
      format: flow.format,
      copyOut: flow.leaves.map((leaf) => copyOutStatement(flow, blockRange(leaf, 0, null))),
      copyIn: copyInStatement(flow),
    })),
    objects: objects.toSorted((a, b) => a.order - b.order),
    kept,
  };
}
