import { buildJob } from '../jobs/build.ts';
import { copyJob } from '../jobs/copy.ts';
import { ring } from '../jobs/doorbell.ts';
import type { Queues } from '../jobs/queues.ts';
import { validateJob } from '../jobs/validate.ts';
import { RowfleetError } from '../src/errors.ts';
import { type Run, readActiveRuns, recordEvent, setRunState, setWaiting } from '../src/ledger/runs.ts';
import { type OpenTask, readOpenTasks } from '../src/ledger/tasks.ts';
import type { Endpoint } from '../src/pg/endpoint.ts';
import { safeMessage, sqlState } from '../src/pg/errors.ts';
import { classify } from '../src/pg/failure-class.ts';
import type { Session } from '../src/pg/session.ts';
import { inTransaction } from '../src/pg/transaction.ts';
import { resolveEndpoint } from '../src/plan/endpoints.ts';
import { advance } from '../src/run/advance.ts';
import type { RunContext } from '../src/run/context.ts';
import { closeKeeper } from '../src/run/snapshot.ts';
import type { Member } from './member.ts';
import { RunBreakers } from './run-breakers.ts';

/** After this long a ring that led to nothing is held against the queue: it may have been emptied. */
const ringAgainMs = 3_000;

const retryMs = 1_000;

const jobs = { batch: copyJob, build: buildJob, check: validateJob };
const queueOf = (queues: Queues, kind: OpenTask['kind']) => queues[jobs[kind].queue];

/** A run as this scheduler drives it, and when it last rang for each attempt. */
interface DrivenRun {
  ctx: RunContext;
  rung: Map<string, number>;
  breakers: RunBreakers;
  /** Not to be looked at before: a server that was gone gets a second. */
  retryAt: number;
}

/** Rings for what waits and for attempts whose lease has run out, and rings again where a ring got lost. */
async function ringDue(queues: Queues, driven: DrivenRun): Promise<void> {
  const now = Date.now();
  const open = await readOpenTasks(driven.ctx.ledger, driven.ctx.run.id);
  const keys = new Set<string>();
  for (const task of open) {
    const key = `${task.id}-${task.attempt}-${task.state}`;
    // Not kept while it is held: it is rung for at once when the hold is lifted.
    if (task.held) continue;
    keys.add(key);
    if (task.state === 'running' && !task.lapsed) continue;
    if (task.earlyMs > 0 || now - (driven.rung.get(key) ?? 0) < ringAgainMs) continue;
    await ring(
      queueOf(queues, task.kind),
      jobs[task.kind].name,
      { run: driven.ctx.run.id, task: task.id },
      task.attempt,
    );
    driven.rung.set(key, now);
  }
  for (const key of driven.rung.keys()) if (!keys.has(key)) driven.rung.delete(key);
}

async function failRun(driven: DrivenRun, error: RowfleetError): Promise<void> {
  const { ctx } = driven;
  await closeKeeper(ctx);
  const record = {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  };
  await setRunState(ctx.ledger, ctx.run.id, ['running', 'cancelling'], 'failed', record);
  await recordEvent(ctx.ledger, ctx.run.id, 'scheduler', `failed: ${error.message}`);
}

/** A server that is away, a lock, memory that runs short; but not a fault of the server's own, which would come again for ever. */
const passesByItself = (error: unknown): boolean =>
  ['wait', 'shrink'].includes(classify(error)) && sqlState(error) !== 'XX000';

/** What can pass by itself is waited for; the rest ends the run. */
async function takeTrouble(member: Member, driven: DrivenRun, error: unknown): Promise<void> {
  const { ctx } = driven;
  // Throws when it was the leader's own session that broke: then the lead is lost.
  await ctx.ledger.query('select 1');
  const message = safeMessage(error);
  member.log.error({ run: ctx.run.id, phase: ctx.run.phase, error: message }, 'run cannot go on');
  // A cancellation goes on until the target is as it was: there is nothing to go back to.
  if (passesByItself(error) || ctx.run.state === 'cancelling') {
    await driven.breakers.trouble(error);
    ctx.waiting = `trying again every second: ${message}`;
    driven.retryAt = Date.now() + retryMs;
    return;
  }
  const known = error instanceof RowfleetError;
  await failRun(driven, known ? error : new RowfleetError(sqlState(error) ?? 'INTERNAL', message));
}

/** One look at one run: what is due is done and rung for, and what it waits for is written down. */
async function look(member: Member, queues: Queues, driven: DrivenRun): Promise<void> {
  const { ctx } = driven;
  if (Date.now() < driven.retryAt) return;
  ctx.waiting = null;
  ctx.busy = false;
  if (ctx.run.state === 'running') await driven.breakers.look();
  try {
    await advance(ctx);
  } catch (error) {
    if (ctx.signal.aborted) return;
    await takeTrouble(member, driven, error);
  }
  try {
    await ringDue(queues, driven);
  } catch (error) {
    ctx.waiting = `the queue at ${member.backend.label} does not answer`;
    member.log.warn({ error: safeMessage(error) }, 'cannot ring');
  }
  await setWaiting(ctx.ledger, ctx.run.id, ctx.waiting);
}

/** Takes a run up. Where its source is must stand in this process's environment; until it does, the run waits. */
async function begin(
  member: Member,
  run: Run,
  ledger: Session,
  signal: AbortSignal,
): Promise<DrivenRun | undefined> {
  let source: Endpoint;
  try {
    source = resolveEndpoint(run.plan.source.endpoint, process.env);
  } catch (error) {
    await setWaiting(ledger, run.id, `the scheduler cannot tell the source: ${safeMessage(error)}`);
    return undefined;
  }
  member.log.info({ run: run.id, name: run.name, phase: run.phase }, 'driving run');
  const ctx: RunContext = {
    run,
    ledger,
    target: member.ledger.pool,
    source,
    keeper: undefined,
    heldFlows: new Set(),
    signal,
    waiting: null,
    busy: false,
    log: (message, fields) => member.log.info({ run: run.id, ...fields }, message),
  };
  const breakers = new RunBreakers({
    ...{ runId: run.id, ledger, source, target: member.ledger.endpoint },
    write: (fn) => inTransaction(ledger, 'read committed', () => fn(ledger)),
  });
  return { ctx, breakers, rung: new Map(), retryAt: 0 };
}

/** How soon the ledger should be looked at again: something was just done, runs are under way, or none is. */
export type Pace = 'busy' | 'active' | 'idle';

/** Drives all active runs with the leader's session until `signal`, or until that session breaks (throws). */
export async function drive(
  member: Member,
  queues: Queues,
  session: Session,
  signal: AbortSignal,
  pause: (pace: Pace) => Promise<void>,
): Promise<void> {
  const driven = new Map<string, DrivenRun>();
  try {
    while (!signal.aborted) {
      const runs = await readActiveRuns(session);
      for (const [id, gone] of driven) {
        if (runs.some((run) => run.id === id)) continue;
        await closeKeeper(gone.ctx);
        driven.delete(id);
      }
      for (const run of runs) {
        const known = driven.get(run.id) ?? (await begin(member, run, session, signal));
        if (known === undefined) continue;
        known.ctx.run = run;
        driven.set(run.id, known);
        await look(member, queues, known);
      }
      const busy = [...driven.values()].some(({ ctx }) => ctx.busy);
      await pause(busy ? 'busy' : runs.length > 0 ? 'active' : 'idle');
    }
  } finally {
    for (const { ctx } of driven.values()) await ctx.keeper?.close();
  }
}
