import { captureObjects } from '../constraints/capture.ts';
import { countFindings } from '../ledger/findings.ts';
import { readFlows } from '../ledger/flows.ts';
import { countOpenMends } from '../ledger/mend.ts';
import { readObjects } from '../ledger/objects.ts';
import { recordEvent } from '../ledger/runs.ts';
import { countChecks, insertTask } from '../ledger/tasks.ts';
import { display } from '../pg/quote.ts';
import { planChecks } from '../validate/checks.ts';
import type { CheckSpec } from '../validate/types.ts';
import type { PhaseResult, RunContext } from './context.ts';
import { incompleteTables, staysDown } from './incomplete.ts';
import { asDriver } from './lead.ts';
import { waitForWorkers } from './workers.ts';

const relationOf = (ctx: RunContext, spec: CheckSpec): string =>
  'relation' in spec
    ? display(spec.relation)
    : display(ctx.run.plan.flows.find((flow) => flow.name === spec.flow)!.target);

/** Asks for the checks of the plan's level, once, behind the last refused row that is sent again; waits for the validators. */
export async function verify(ctx: RunContext): Promise<PhaseResult> {
  const { id, plan, kind } = ctx.run;
  const { all, done } = await countChecks(ctx.ledger, id);
  if (all === 0) {
    const mends = await countOpenMends(ctx.ledger, id);
    if (mends > 0) {
      ctx.waiting = `refused rows are sent again: ${mends} ${mends === 1 ? 'batch' : 'batches'} of them to go`;
      await waitForWorkers(ctx, 'loader');
      return 'stay';
    }
    await asDriver(ctx, async (tx) => {
      // A run that only validates took nothing down; what stands there now is what would be.
      const captured =
        kind === 'migrate'
          ? (await readObjects(tx, id)).map((object) => object.captured)
          : await captureObjects(
              tx,
              plan.targets.map((target) => ({ ...target, nonEmpty: true })),
            );
      const incomplete = incompleteTables(await readFlows(tx, id));
      for (const object of captured) {
        if (object.takeDown.length === 0 || !staysDown(object, incomplete)) continue;
        const what = `${object.kind} ${object.name} on ${display(object.relation)} stays down`;
        await recordEvent(tx, id, 'scheduler', `${what}: rows are missing, since a flow was cancelled`);
      }
      for (const spec of planChecks(plan, plan.settings.validationLevel, captured, incomplete)) {
        await insertTask(tx, id, 'check', relationOf(ctx, spec), spec);
      }
    });
    return 'stay';
  }
  if (all === done) return 'next';
  await waitForWorkers(ctx, 'validator');
  return 'stay';
}

/** The gate before constraints come back: nothing was found, besides that people cancelled a flow. */
export async function passesGate(ctx: RunContext): Promise<boolean> {
  return (await countFindings(ctx.ledger, ctx.run.id, 'cancelled')) === 0;
}
