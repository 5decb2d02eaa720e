import { bringBack } from '../constraints/apply.ts';
import { readRowsBefore } from '../ledger/flows.ts';
import { readObjects, setObjectState } from '../ledger/objects.ts';
import { recordEvent, setRunState, setWaiting } from '../ledger/runs.ts';
import { cancelTasks, countLiveAttempts } from '../ledger/tasks.ts';
import { display, qualified } from '../pg/quote.ts';
import { withSession } from '../pg/session.ts';
import type { RunContext } from './context.ts';
import { closeKeeper } from './snapshot.ts';

/**
 * Ends a run that is to be cancelled: waits until no attempt is under way, empties the target tables that
 * were empty before, and brings back everything that was taken down. Does one step a call.
 */
export async function cancel(ctx: RunContext): Promise<void> {
  const { id, plan } = ctx.run;
  await closeKeeper(ctx);
  await cancelTasks(ctx.ledger, id);
  const live = await countLiveAttempts(ctx.ledger, id);
  if (live > 0) {
    ctx.waiting = `${live} attempts have not stopped yet`;
    return;
  }
  const objects = (await readObjects(ctx.ledger, id)).filter((o) => o.captured.takeDown.length > 0);
  const before = await readRowsBefore(ctx.ledger, id);
  const ours = plan.targets.filter((target) => before[display(target)] === 0);
  if (ours.length > 0) await ctx.ledger.query(`truncate ${ours.map(qualified).join(', ')}`);
  for (const object of objects) {
    if (object.state === 'captured') await setObjectState(ctx.ledger, object.id, 'back');
    if (object.state !== 'down') continue;
    await withSession(ctx.target, (session) =>
      bringBack(session, object.captured, {
        signal: ctx.signal,
        within: (tx) => setObjectState(tx, object.id, 'back'),
        onWait: (reason) => void setWaiting(ctx.target, id, reason).catch(() => {}),
      }),
    );
  }
  await recordEvent(ctx.ledger, id, 'scheduler', `cancelled: ${objects.length} objects are as they were`);
  await setRunState(ctx.ledger, id, ['cancelling'], 'cancelled');
}
