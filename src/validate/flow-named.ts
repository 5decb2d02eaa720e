import { RowfleetError } from '../errors.ts';
import type { ResolvedFlow, ResolvedPlan } from '../plan/resolved-plan.ts';

/** The flow that a check is about. Throws CHECK_FLOW_UNKNOWN. */
export function flowNamed(plan: ResolvedPlan, name: string): ResolvedFlow {
  const flow = plan.flows.find((candidate) => candidate.name === name);
  if (flow !== undefined) return flow;
  throw new RowfleetError(
    'CHECK_FLOW_UNKNOWN',
    `The check is about flow ${name}, which the plan does not have.`,
    {
      hint: 'The ledger and the plan do not belong together: start a new run.',
    },
  );
}
