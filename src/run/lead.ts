import { holdLead } from '../ledger/leader.ts';
import { holdUnchanged } from '../ledger/lock-run.ts';
import { type ObjectState, setObjectState } from '../ledger/objects.ts';
import { setWaiting } from '../ledger/runs.ts';
import type { Session } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import type { LeadContext, RunContext } from './context.ts';
import { withTarget } from './target.ts';

/** Runs `fn` in one transaction of the ledger, which commits only while this scheduler leads. Throws LeadLost. */
export function asLeader<T>(ctx: LeadContext, fn: (tx: Session) => Promise<T>): Promise<T> {
  return withTarget(ctx, (session) =>
    inTransaction(session, 'read committed', async () => {
      await holdLead(session, ctx.epoch);
      return fn(session);
    }),
  );
}

/** As `asLeader`, for a run that is still as this look found it. Throws RunChanged too. */
export function asDriver<T>(ctx: RunContext, fn: (tx: Session) => Promise<T>): Promise<T> {
  return asLeader(ctx, async (tx) => {
    await holdUnchanged(tx, ctx.run);
    return fn(tx);
  });
}

/**
 * Records, in the transaction that made it so, that an object is down or back. Throws LeadLost and RunChanged, which undo
 * it: people who have the run may wait for the object's table.
 */
export async function settleObject(
  ctx: RunContext,
  tx: Session,
  objectId: string,
  state: ObjectState,
): Promise<void> {
  await holdLead(tx, ctx.epoch);
  await holdUnchanged(tx, ctx.run, { wait: false });
  await setObjectState(tx, objectId, state);
}

/** Says at once what the run waits for, from within a step that goes on waiting. */
export function sayWaiting(ctx: RunContext, reason: string): void {
  asDriver(ctx, (tx) => setWaiting(tx, ctx.run.id, reason)).catch(() => {}); // The next look says it again.
}
