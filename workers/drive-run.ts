import type { Queues } from '../jobs/queues.ts';
import { RowfleetError } from '../src/errors.ts';
import { LeadLost } from '../src/ledger/leader.ts';
import { RunChanged } from '../src/ledger/lock-run.ts';
import { readWaitingAttempt } from '../src/ledger/read-tasks.ts';
import {
  type Run,
  readRun,
  recordEvent,
  setRunState,
  setSourceLabel,
  setWaiting,
} from '../src/ledger/runs.ts';
import { safeMessage, sqlState } from '../src/pg/errors.ts';
import { classify } from '../src/pg/failure-class.ts';
import { answeringWithin } from '../src/pg/session.ts';
import { sqlStates } from '../src/pg/sql-states.ts';
import { resolveEndpoint } from '../src/plan/endpoints.ts';
import { advance } from '../src/run/advance.ts';
import type { RunContext } from '../src/run/context.ts';
import { asDriver, asLeader } from '../src/run/lead.ts';
import { closeKeeper } from '../src/run/snapshot.ts';
import type { Lead } from './lead.ts';
import type { Member } from './member.ts';
import { type Rung, ringDue } from './ring-due.ts';
import { RunBreakers } from './run-breakers.ts';
import { RunHealth } from './run-health.ts';
import type { Wakeup } from './wakeup.ts';

/** Milliseconds until a run is looked at again after trouble; a ring wakes its loop at once. */
const troubleMs = 1_000;

/**
 * Milliseconds until a run is looked at again in which nothing was done for so long: half of that. The first batches of a
 * table take milliseconds, each teaches the size of the next, and loaders that wait for it do nothing; later ones take
 * seconds, and each look costs the target a dozen statements.
 */
const paceMs = (quietMs: number): number => Math.min(300, Math.max(20, quietMs / 2));

/** The largest ledger is read in seconds; after this long the way to it is gone. */
const readWithinMs = 30_000;

/** What driving a run takes. */
export interface DriveSite {
  member: Member;
  queues: Queues;
  lead: Lead;
  wakeup: Wakeup;
  /** Ends the driving: the lead is lost, or the process leaves. */
  signal: AbortSignal;
}

interface DrivenRun {
  ctx: RunContext;
  breakers: RunBreakers;
  health: RunHealth;
  rung: Rung;
  /** When something was done last, by `performance.now()`. */
  busyAt: number;
}

const isActive = (run: Run): boolean => run.state === 'running' || run.state === 'cancelling';

/** A server that is away, a lock, memory that runs short; but not a fault of the server's own, which would come again for ever. */
const passesByItself = (error: unknown): boolean =>
  ['wait', 'shrink'].includes(classify(error)) && sqlState(error) !== sqlStates.internalError;

async function failRun(ctx: RunContext, error: RowfleetError): Promise<void> {
  await closeKeeper(ctx);
  const { code, message, hint } = error;
  const record = { code, message, ...(hint === undefined ? {} : { hint }) };
  await asDriver(ctx, async (tx) => {
    await setRunState(tx, ctx.run.id, ['running'], 'failed', record);
    await recordEvent(tx, ctx.run.id, 'scheduler', `failed: ${message}`);
  });
}

/** What can pass by itself is waited for; the rest ends the run. */
async function takeTrouble({ member }: DriveSite, driven: DrivenRun, error: unknown): Promise<void> {
  const { ctx } = driven;
  const message = safeMessage(error);
  member.log.error({ run: ctx.run.id, phase: ctx.run.phase, error: message }, 'run cannot go on');
  // A cancellation goes on until the target is as it was: there is nothing to go back to.
  if (passesByItself(error) || ctx.run.state === 'cancelling') {
    await driven.breakers.trouble(error);
    ctx.waiting = `trying again every second: ${message}`;
    return;
  }
  const known = error instanceof RowfleetError;
  await failRun(ctx, known ? error : new RowfleetError(sqlState(error) ?? 'INTERNAL', message));
}

/** One look at one run: what is due is done and rung for, and what it waits for is written down. Returns milliseconds until the next. */
async function look(site: DriveSite, driven: DrivenRun): Promise<number> {
  const { ctx, breakers, health, rung } = driven;
  ctx.waiting = null;
  ctx.busy = false;
  let isTroubled = false;
  try {
    if (ctx.run.state === 'running') {
      await breakers.look();
      await health.look();
    }
    await advance(ctx);
    if (ctx.busy) driven.busyAt = performance.now();
    else ctx.waiting ??= await readWaitingAttempt(ctx.ledger, ctx.run.id);
  } catch (error) {
    if (error instanceof LeadLost || error instanceof RunChanged || ctx.signal.aborted) throw error;
    await takeTrouble(site, driven, error);
    isTroubled = true;
  }
  try {
    const { concurrency = null } = ctx.run.settings;
    await ringDue(site.queues, ctx.ledger, { id: ctx.run.id, concurrency }, rung);
  } catch (error) {
    ctx.waiting = `the queue at ${site.member.backend.label} does not answer`;
    site.member.log.warn({ error: safeMessage(error) }, 'cannot ring');
  }
  if (ctx.waiting !== ctx.run.waiting) await asDriver(ctx, (tx) => setWaiting(tx, ctx.run.id, ctx.waiting));
  return isTroubled ? troubleMs : paceMs(performance.now() - driven.busyAt);
}

/** Takes a run up. Throws ENDPOINT_* where this process's environment does not tell where the source is. */
function begin({ member, lead, signal }: DriveSite, run: Run): DrivenRun {
  const source = resolveEndpoint(run.plan.source.endpoint, process.env);
  member.log.info({ run: run.id, name: run.name, phase: run.phase }, 'driving run');
  const ctx: RunContext = {
    run,
    ledger: answeringWithin(member.ledger.pool, readWithinMs),
    target: member.ledger.pool,
    epoch: lead.epoch,
    source,
    keeper: undefined,
    heldFlows: new Set(),
    signal,
    waiting: null,
    busy: false,
    log: (message, fields) => member.log.info({ run: run.id, ...fields }, message),
  };
  const breakers = new RunBreakers({
    ...{ runId: run.id, ledger: ctx.ledger, source, target: member.ledger.endpoint },
    write: (fn) => asDriver(ctx, fn),
  });
  const health = new RunHealth(() => ({
    ...{ run: ctx.run, target: member.control, source, log: ctx.log },
    write: (fn) => asDriver(ctx, fn),
  }));
  return { ctx, breakers, health, rung: new Map(), busyAt: performance.now() };
}

/** Waits until this process can tell where a run's source is; says so in the ledger. */
async function beginOrWait(site: DriveSite, run: Run): Promise<DrivenRun | undefined> {
  const ctx = { target: site.member.ledger.pool, epoch: site.lead.epoch, signal: site.signal };
  let driven: DrivenRun;
  try {
    driven = begin(site, run);
  } catch (error) {
    const reason = `the scheduler cannot tell the source: ${safeMessage(error)}`;
    await asLeader(ctx, (tx) => setWaiting(tx, run.id, reason));
    return undefined;
  }
  await asLeader(ctx, (tx) => setSourceLabel(tx, run.id, driven.ctx.source.label));
  return driven;
}

/** Drives one run until it goes on no more. Throws LeadLost; other trouble is waited out or ends the run. */
export async function driveRun(site: DriveSite, runId: string): Promise<void> {
  const { member, wakeup, signal } = site;
  let driven: DrivenRun | undefined;
  try {
    while (!signal.aborted) {
      let restMs = troubleMs;
      try {
        const run = await readRun(member.control, runId);
        if (!isActive(run)) break;
        driven ??= await beginOrWait(site, run);
        if (driven !== undefined) {
          driven.ctx.run = run;
          restMs = await look(site, driven);
        }
      } catch (error) {
        if (error instanceof LeadLost || signal.aborted) throw error;
        if (error instanceof RunChanged) restMs = paceMs(0);
        // The ledger itself does not answer as it should: there is nowhere to write that down.
        else member.log.error({ run: runId, error: safeMessage(error) }, 'the ledger does not answer');
      }
      await wakeup.pause(restMs, signal);
    }
    if (driven !== undefined && !signal.aborted) await closeKeeper(driven.ctx);
  } finally {
    await driven?.ctx.keeper?.close();
  }
}
