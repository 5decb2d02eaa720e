import type pg from 'pg';
import { barrier } from '../barrier.ts';
import { findStaleFlows, openEpoch } from '../copy/keeper.ts';
import { RowfleetError } from '../errors.ts';
import { emptyCandidates } from '../ledger/candidates.ts';
import { closeEpochs, type Epoch, insertEpoch, readCopiedEpochs, readEpochs } from '../ledger/epochs.ts';
import { readOpenFlows, readRowsBefore, restartFlows } from '../ledger/flows.ts';
import { fuseAgain } from '../ledger/objects.ts';
import { recordEvent } from '../ledger/runs.ts';
import { display } from '../pg/quote.ts';
import { destroySession, endSession, type Session } from '../pg/session.ts';
import { leaderOf } from '../plan/select.ts';
import type { ResolvedFlow, ResolvedPlan } from '../plan/types.ts';
import type { Keeper, RunContext } from './context.ts';
import { emptyTables } from './empty.ts';
import { asDriver, asLeader } from './lead.ts';
import { openSource } from './source.ts';

/** The flows that begin again when some tables are emptied: all that fill them, with those read together, whose tables are emptied too (and added). */
function restarting({ flows }: ResolvedPlan, targets: Set<string>): ResolvedFlow[] {
  for (let before = -1; before < targets.size; ) {
    before = targets.size;
    const leaders = new Set(flows.filter(({ target }) => targets.has(display(target))).map(leaderOf));
    for (const flow of flows) if (leaders.has(leaderOf(flow))) targets.add(display(flow.target));
  }
  return flows.filter((flow) => targets.has(display(flow.target)));
}

/**
 * Empties the targets of flows whose source changed since they were copied, together with every flow that
 * shares a target with them, and lets them begin again. Throws SOURCE_CHANGED when a target held rows before
 * the run: those must not go.
 */
async function startAgain(ctx: RunContext, tx: Session, stale: string[]): Promise<void> {
  if (stale.length === 0) return;
  const { plan, id } = ctx.run;
  const targets = new Set(plan.flows.filter((f) => stale.includes(f.name)).map((f) => display(f.target)));
  const flows = restarting(plan, targets);
  const before = await readRowsBefore(tx, id);
  const held = [...targets].find((target) => before[target]! > 0);
  if (held !== undefined) {
    throw new RowfleetError(
      'SOURCE_CHANGED',
      `the source of ${stale.join(', ')} was written to while no snapshot was held, and ${held} held rows before this run`,
      { hint: `remove this run's rows from ${held} by hand, then \`rowfleet cancel\` and start anew` },
    );
  }
  const relations = plan.targets.filter((target) => targets.has(display(target)));
  // Batches first: this waits for attempts under way, whose rows then go along. Not for long: their heartbeat waits for us.
  await tx.query(`set local lock_timeout = '2s'`);
  await restartFlows(
    tx,
    id,
    flows.map((flow) => flow.name),
  );
  await emptyTables(tx, relations);
  await emptyCandidates(tx, id, plan, targets);
  await fuseAgain(tx, id, [...targets]);
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
      await startAgain(
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
