import { bringBack, takeDown } from '../constraints/apply.ts';
import { dropStatements } from '../ledger/candidates.ts';
import { readRowsBefore } from '../ledger/flows.ts';
import { type ObjectRow, readObjects, setObjectState } from '../ledger/objects.ts';
import type { RecordedError } from '../ledger/recorded-error.ts';
import { recordEvent, setRunState } from '../ledger/runs.ts';
import { cancelTasks, endLapsedAttempts } from '../ledger/tasks.ts';
import { sqlState } from '../pg/errors.ts';
import { display } from '../pg/quote.ts';
import { sqlStates } from '../pg/sql-states.ts';
import type { RunContext } from './context.ts';
import { emptyTables } from './empty.ts';
import { asDriver, sayWaiting, settleObject } from './lead.ts';
import { closeKeeper } from './snapshot.ts';
import { withTarget } from './target.ts';
import { holdsRow } from './target-rows.ts';

/** Empties what was empty before the run. */
async function emptyTargets(ctx: RunContext): Promise<void> {
  const before = await readRowsBefore(ctx.ledger, ctx.run.id);
  const ours = ctx.run.plan.targets.filter((target) => before[display(target)] === 0);
  await asDriver(ctx, async (tx) => {
    for (const target of ours) if (await holdsRow(tx, target)) return emptyTables(tx, ours);
  });
}

/** Takes foreign keys and triggers that are back already down once more: the rows under them are to go. */
async function takeDownAgain(ctx: RunContext, objects: ObjectRow[]): Promise<void> {
  for (const object of objects.toReversed()) {
    if (object.phase !== 'constrain' || object.state !== 'back') continue;
    await withTarget(ctx, (session) =>
      takeDown(session, object.captured, {
        signal: ctx.signal,
        within: (tx) => settleObject(ctx, tx, object.id, 'down'),
        onWait: (reason) => sayWaiting(ctx, reason),
      }),
    );
  }
}

/**
 * Brings back what is down. Returns what the rows do not allow: a table that held rows before the run keeps what was
 * copied into it, and may refer to one that was emptied.
 */
async function restore(ctx: RunContext, objects: ObjectRow[]): Promise<ObjectRow[]> {
  const refused: ObjectRow[] = [];
  for (const object of objects) {
    if (object.state === 'captured') await asDriver(ctx, (tx) => setObjectState(tx, object.id, 'back'));
    if (object.state !== 'down') continue;
    try {
      await withTarget(ctx, (session) =>
        bringBack(session, object.captured, {
          signal: ctx.signal,
          within: (tx) => settleObject(ctx, tx, object.id, 'back'),
          onWait: (reason) => sayWaiting(ctx, reason),
        }),
      );
    } catch (error) {
      if (sqlState(error) !== sqlStates.foreignKeyViolation) throw error;
      refused.push(object);
    }
  }
  return refused;
}

const restorable = async (ctx: RunContext): Promise<ObjectRow[]> =>
  (await readObjects(ctx.ledger, ctx.run.id)).filter((object) => object.captured.takeDown.length > 0);

function incomplete(refused: ObjectRow[]): RecordedError {
  const names = refused.map(({ captured }) => `${captured.name} of ${display(captured.relation)}`);
  return {
    code: 'NOT_RESTORED',
    message: `${names.join(', ')} cannot come back: rows that stayed refer to rows that are gone`,
    hint: `remove or mend those rows, then: ${refused.flatMap(({ captured }) => captured.bringBack).join('; ')}`,
  };
}

/**
 * Ends a run that is to be cancelled: waits until no attempt is under way, empties the target tables that
 * were empty before, and brings back everything that was taken down. Does one step a call.
 */
export async function cancel(ctx: RunContext): Promise<void> {
  const { id } = ctx.run;
  await closeKeeper(ctx);
  await asDriver(ctx, (tx) => cancelTasks(tx, id));
  const live = await asDriver(ctx, (tx) => endLapsedAttempts(tx, id));
  if (live > 0) {
    ctx.waiting = `${live} ${live === 1 ? 'attempt has' : 'attempts have'} not stopped yet`;
    return;
  }
  // Once it was verified its rows are in use, and what goes on is a reload: it is given up, and they stay.
  if (ctx.run.verifiedAt === null) {
    await takeDownAgain(ctx, await restorable(ctx));
    await emptyTargets(ctx);
  }
  const objects = await restorable(ctx);
  const refused = await restore(ctx, objects);
  const error = refused.length === 0 ? null : incomplete(refused);
  await asDriver(ctx, async (tx) => {
    await cancelTasks(tx, id, true); // An attempt may have ended without having said so yet.
    const back = objects.length - refused.length;
    const trouble = error === null ? '' : `; ${error.message}; ${error.hint}`;
    await recordEvent(tx, id, 'scheduler', `cancelled: ${back} objects are as they were${trouble}`);
    for (const statement of dropStatements(id, ctx.run.plan)) await tx.query(statement);
    await setRunState(tx, id, ['cancelling'], 'cancelled', error);
  });
}
