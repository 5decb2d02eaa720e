import type pg from 'pg';
import { barrier } from '../barrier.ts';
import { findStaleFlows, openEpoch } from '../copy/keeper.ts';
import { RowfleetError } from '../errors.ts';
import { closeEpochs, type Epoch, insertEpoch, readCopiedEpochs, readEpochs } from '../ledger/epochs.ts';
import { readOpenFlows, readRowsBefore } from '../ledger/flows.ts';
import { recordEvent } from '../ledger/runs.ts';
import { display } from '../pg/quote.ts';
import { destroySession, endSession, type Session } from '../pg/session.ts';
import { restarting } from '../plan/restarting.ts';
import type { Keeper, RunContext } from './context.ts';
import { asDriver, asLeader } from './lead.ts';
import { openSource } from './source.ts';
import { heldBefore, startAgain } from './start-again.ts';

/**
 * Empties the targets of flows whose source changed since they were copied, with every flow that has to go along, and
 * lets them begin again. Throws SOURCE_CHANGED when a target held rows before
 * the run: those must not go.
 */
async function startStaleAgain(ctx: RunContext, tx: Session, stale: string[]): Promise<void> {
  if (stale.length === 0) return;
  const { plan, id } = ctx.run;
  const flows = restarting(plan, stale);
  const before = await readRowsBefore(tx, id);
  const held = heldBefore(flows, before);
  if (held !== undefined) {
    const table = display(held.target);
    throw new RowfleetError(
      'SOURCE_CHANGED',
      `the source of ${stale.join(', ')} was written to while no snapshot was held, and ${table} held rows before this run`,
      { hint: `remove this run's rows from ${table} by hand, then \`rowfleet cancel\` and start anew` },
    );
  }
  // Attempts under way are waited for. Not for long: their heartbeat waits for us.
  await tx.query(`set local lock_timeout = '2s'`);
  await startAgain(tx, id, plan, flows);
  const names = flows.map((flow) => flow.name).join(', ');
  await recordEvent(
    tx,
    id,
    'scheduler',
    `the source changed while no snapshot was held: ${names} starts again`,
  );
}

const pingEveryMs = 2_000;
const pingWithinMs = 5_000;

/** Asks the session that keeps a snapshot for signs of life, since a network that drops everything shows none of its end. */
function keep(session: pg.Client, epoch: Epoch): Keeper {
  let pinging = false;
  const timer = setInterval(async () => {
    if (pinging) return;
    pinging = true;
    try {
      await session.query({ text: 'select 1', query_timeout: pingWithinMs } as pg.QueryConfig);
    } catch {
      lost();
      destroySession(session);
    }
    pinging = false;
  }, pingEveryMs);
  const keeper: Keeper = {
    ...{ epoch, session, alive: true },
    async close() {
      clearInterval(timer);
      await endSession(session);
    },
  };
  function lost(): void {
    clearInterval(timer);
    keeper.alive = false;
  }
  session.once('end', lost);
  session.once('error', lost);
  return keeper;
}

/** Opens the next source snapshot and settles what earlier batches are still worth under it. */
export async function openKeeper(ctx: RunContext): Promise<Keeper> {
  const { id, plan } = ctx.run;
  await asDriver(ctx, (tx) => closeEpochs(tx, id));
  const epochs = await readEpochs(ctx.ledger, id);
  const session = await openSource(ctx, 'rowfleet snapshot keeper');
  try {
    const epoch = await openEpoch(session, plan, (epochs.at(-1)?.epoch ?? 0) + 1);
    const keeper = keep(session, epoch);
    await barrier('copy.snapshot');
    await asDriver(ctx, async (tx) => {
      const copied = await readCopiedEpochs(tx, id);
      const stale = findStaleFlows(plan, copied, epochs, epoch);
      // What people mended must stay; what came to its end before is reloaded, not copied again.
      const open = ctx.run.mended ? await readOpenFlows(tx, id) : stale;
      await startStaleAgain(
        ctx,
        tx,
        stale.filter((flow) => open.includes(flow)),
      );
      await insertEpoch(tx, id, epoch);
    });
    ctx.log('source snapshot opened', { epoch: epoch.epoch });
    return keeper;
  } catch (error) {
    await endSession(session);
    throw error;
  }
}

/** Lets the snapshot go. */
export async function closeKeeper(ctx: RunContext): Promise<void> {
  if (ctx.keeper === undefined) return;
  await ctx.keeper.close();
  ctx.keeper = undefined;
  await asLeader(ctx, (tx) => closeEpochs(tx, ctx.run.id));
}
