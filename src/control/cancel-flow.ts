import { usageError } from '../errors.ts';
import { cancelFlow as cancelInLedger, readFlowRest, readWaiting } from '../ledger/flows.ts';
import { liftHold } from '../ledger/holds.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { withdrawReloads } from '../ledger/requeue.ts';
import type { Run } from '../ledger/runs.ts';
import { shellWord } from '../shell-word.ts';
import { actOn, requireFlow } from './act.ts';

/**
 * Cancels one flow: batches of it that are not done end as cancelled, it gets no further work, and the run goes on; it
 * ends with a finding that says how many rows were not copied. Tells whether it was not cancelled before. Throws
 * FLOW_UNKNOWN, RUN_STATE where the run has ended, FLOW_COPIED where there is nothing left to cancel, and FLOW_AWAITED where others
 * look values up in what it fills.
 */
export async function cancelFlow(ledger: Ledger, run: Run, named: string, actor: string): Promise<boolean> {
  const allowed = ['running', 'stopped', 'failed'] as const;
  return actOn(ledger, run.id, { actor, allowed, deed: 'asked to cancel a flow' }, async (tx, current) => {
    const flow = requireFlow(current, named);
    const rest = await readFlowRest(tx, run.id, flow);
    if (rest === undefined) {
      throw usageError(
        'FLOW_NOT_BEGUN',
        `run ${run.id} has not measured its flows yet: it is in phase ${current.phase}`,
        'try again in a moment, or cancel the whole run',
      );
    }
    if (rest.cancelled) return { changed: null, result: false };
    if (rest.cutDone && rest.open === 0) {
      throw usageError(
        'FLOW_COPIED',
        `flow ${flow} of run ${run.id} is copied already: there is nothing left to cancel`,
        `rowfleet cancel ${run.id}, without --flow, undoes the whole run`,
      );
    }
    const [waiting] = await readWaiting(tx, run.id, flow);
    if (waiting !== undefined) {
      throw usageError(
        'FLOW_AWAITED',
        `flow ${waiting} of run ${run.id} looks values up in what flow ${flow} fills: without that its rows would be refused`,
        `cancel that one before: rowfleet cancel ${run.id} --flow ${shellWord(waiting)}`,
      );
    }
    await withdrawReloads(tx, run.id, flow); // What they cover is loaded.
    await cancelInLedger(tx, run.id, flow);
    await liftHold(tx, run.id, { flow, kind: 'pause' }); // Its open batches have to come to their end.
    return { changed: `cancelled flow ${flow}`, result: true };
  });
}
