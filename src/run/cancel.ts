import { bringBack } from '../constraints/apply.ts';
import { readRowsBefore } from '../ledger/flows.ts';
import { readObjects, setObjectState } from '../ledger/objects.ts';
import { recordEvent, setRunState } from '../ledger/runs.ts';
import { cancelTasks, countLiveAttempts } from '../ledger/tasks.ts';
import { display, qualified, type RelationName } from '../pg/quote.ts';
import type { RunContext } from './context.ts';
import { asLeader, sayWaiting, settleObject } from './lead.ts';
import { closeKeeper } from './snapshot.ts';
import { withTarget } from './target.ts';

/** Empties what was empty before the run. Waits for no lock longer than two seconds: the caller tries again. */
async function emptyTargets(ctx: RunContext): Promise<void> {
  const before = await readRowsBefore(ctx.ledger, ctx.run.id);
  const ours = ctx.run.plan.targets.filter((target) => before[display(target)] === 0);
  await asLeader(ctx, async (tx) => {
    await tx.query(`set local lock_timeout = '2s'`);
    const filled: RelationName[] = [];
    for (const target of ours) {
      const { rowCount } = await tx.query(`select 1 from ${qualified(target)} limit 1`);
      if (rowCount === 1) filled.push(target);
    }
    if (filled.length > 0) await tx.query(`truncate ${filled.map(qualified).join(', ')}`);
  });
}

/**
 * Ends a run that is to be cancelled: waits until no attempt is under way, empties the target tables that
 * were empty before, and brings back everything that was taken down. Does one step a call.
 */
export async function cancel(ctx: RunContext): Promise<void> {
  const { id } = ctx.run;
  await closeKeeper(ctx);
  await asLeader(ctx, (tx) => cancelTasks(tx, id));
  const live = await countLiveAttempts(ctx.ledger, id);
  if (live > 0) {
    ctx.waiting = `${live} attempts have not stopped yet`;
    return;
  }
  const objects = (await readObjects(ctx.ledger, id)).filter((o) => o.captured.takeDown.length > 0);
  // Once it was verified its rows are in use, and what goes on is a reload: it is given up, and they stay.
  if (ctx.run.verifiedAt === null) await emptyTargets(ctx);
  for (const object of objects) {
    if (object.state === 'captured') await asLeader(ctx, (tx) => setObjectState(tx, object.id, 'back'));
    if (object.state !== 'down') continue;
    await withTarget(ctx, (session) =>
      bringBack(session, object.captured, {
        signal: ctx.signal,
        within: (tx) => settleObject(ctx, tx, object.id, 'back'),
        onWait: (reason) => sayWaiting(ctx, reason),
      }),
    );
  }
  await asLeader(ctx, async (tx) => {
    await recordEvent(tx, id, 'scheduler', `cancelled: ${objects.length} objects are as they were`);
    await setRunState(tx, id, ['cancelling'], 'cancelled');
  });
}
