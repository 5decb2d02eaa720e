import type { Session } from '../../pg/session.ts';
import { inTransaction } from '../../pg/transaction.ts';
import type { ResolvedPlan } from '../../plan/resolved-plan.ts';
import { type Actions, describeActions } from './actions.ts';
import { estimatePlan, type Forecast, forecast } from './forecast.ts';
import { samplePlan } from './sample/sample.ts';
import type { FlowSample } from './sample/types.ts';

/** What is known of a run before there is one. */
export interface Preview {
  actions: Actions;
  forecast: Forecast;
  /** Holds values of rows: for the operator's terminal only. */
  samples: FlowSample[];
}

/**
 * Describes a run of a plan, estimates it, and shows what it makes of some rows. Only reads: the source in a transaction of its own, the target
 * in the one that `target` stands in.
 * @param options `sample`: driving rows of each flow; `folder`: the plan's, below which its transforms are
 */
export function previewRun(
  plan: ResolvedPlan,
  source: Session,
  target: Session,
  { sample, folder }: { sample: number; folder: string },
): Promise<Preview> {
  const look = async (): Promise<Preview> => {
    const estimates = await estimatePlan(source, plan);
    return {
      actions: await describeActions(plan, estimates, target),
      forecast: await forecast(source, target, plan, estimates),
      samples: await samplePlan({ source, target, folder }, plan, estimates, sample),
    };
  };
  return inTransaction(source, 'repeatable read, read only', look, { searchPath: plan.source.searchPath });
}
