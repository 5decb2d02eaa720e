import { barrier } from '../src/barrier.ts';
import { SnapshotGone } from '../src/copy/copy-batch.ts';
import { RowfleetError } from '../src/errors.ts';
import { type Claim, type ClaimedTask, claimTask, leaseMs } from '../src/ledger/claim.ts';
import { endBackend, failTask, type RecordedFailure, readTaskHistory } from '../src/ledger/fail-task.ts';
import { handBackTask, PlanRevised, StaleAttempt, TaskLocked } from '../src/ledger/fence.ts';
import { recordEvent } from '../src/ledger/runs.ts';
import { constraintOf, isConnectionLost, safeMessage, sqlState } from '../src/pg/errors.ts';
import { classify, failureCode } from '../src/pg/failure-class.ts';
import { originOf } from '../src/pg/origin.ts';
import { bound, type Session, withSession } from '../src/pg/session.ts';
import { OwnTrouble } from './away.ts';
import { GivenUp, type LiveWork, type Member } from './member.ts';
import { nextStep } from './next-step.ts';
import { decide } from './retry-policy.ts';
import type { LoadedRun } from './run-plans.ts';

/** What became of one ring. */
export type AttemptOutcome =
  | Exclude<Claim, ClaimedTask>
  | { kind: 'done' }
  | { kind: 'handed back' }
  /** Another attempt took the task over; nothing of this one was kept. */
  | { kind: 'stale' }
  | { kind: 'failed'; error: RecordedFailure; retryMs: number | null };

/** What a kind of work gets: the session that holds the claim, and a signal that ends it. */
export interface Work {
  claim: ClaimedTask;
  run: LoadedRun;
  session: Session;
  signal: AbortSignal;
  onBytes(bytes: number): void;
  /** Hears what the work waits for, each time it does. */
  onWait(reason: string): void;
}

/** The process leaves, and the work is to be taken up by another. */
export class Leaving extends Error {
  constructor() {
    super('the process is leaving');
    this.name = 'Leaving';
  }
}

/** Where an error came from; undefined where no server was asked. Sessions mark theirs, the ledger's pool does not. */
function sideOf(member: Member, error: unknown): 'source' | 'target' | undefined {
  const origin = originOf(error);
  if (origin !== undefined) return origin === member.ledger.endpoint ? 'target' : 'source';
  return sqlState(error) !== undefined || isConnectionLost(error) ? 'target' : undefined;
}

/** A failure as the ledger keeps it, without what only the policy knows. */
function describe(member: Member, error: unknown): RecordedFailure {
  const side = sideOf(member, error);
  const failure = {
    class: classify(error, side),
    code: failureCode(error),
    ...(side === undefined ? {} : { side }),
  };
  const constraint = constraintOf(error);
  const state = sqlState(error);
  return {
    ...failure,
    message: safeMessage(error),
    hint: (error instanceof RowfleetError ? error.hint : undefined) ?? nextStep(failure),
    ...(constraint === undefined ? {} : { constraint }),
    ...(state === undefined || state === failure.code ? {} : { sqlState: state }),
  };
}

/** Enough to end a predecessor; without an answer by then the way to the target is gone. */
const claimWithinMs = 15_000;

/** What should pass with the next snapshot or plan, and does not, is trouble that people must see. */
const mostHandedBack = 5;

/** A task whose processes go down or fall silent again and again is what takes them along. */
const mostLost = 3;

function refuseDeadly({ lost }: ClaimedTask): void {
  if (lost < mostLost) return;
  throw new RowfleetError(
    'WORKER_LOST',
    `its last ${lost} attempts were lost: their processes ended, or gave no sign of life for more than ${leaseMs / 1000} s`,
    {
      hint: 'see their logs: they were killed, ran out of memory, or a transform computes for seconds in one call (a smaller chunk, or an await in it, gives way); then resume',
    },
  );
}

/** Leaves a run's tasks to other processes for a while, and says so where people look. */
async function leaveRun(member: Member, runId: string, reason: string): Promise<void> {
  if (!member.away.leave(runId, reason)) return;
  member.log.error({ run: runId, error: reason }, 'takes no tasks of this run');
  await recordEvent(member.control, runId, member.id, `takes no tasks: ${reason}`);
}

async function settleFailure(
  member: Member,
  claim: ClaimedTask,
  error: unknown,
  maxRetries: number,
): Promise<AttemptOutcome> {
  const pool = member.control;
  if (error instanceof StaleAttempt) return { kind: 'stale' };
  await endBackend(pool, claim);
  if (error instanceof Leaving || error instanceof GivenUp) {
    await handBackTask(pool, claim);
    return { kind: 'handed back' };
  }
  if (error instanceof OwnTrouble) {
    await handBackTask(pool, claim);
    await leaveRun(member, claim.runId, error.message);
    return { kind: 'handed back' };
  }
  const history = await readTaskHistory(pool, claim);
  const passes = error instanceof SnapshotGone || error instanceof TaskLocked || error instanceof PlanRevised;
  if (passes && history.handedBack < mostHandedBack) {
    await handBackTask(pool, claim, 500);
    return { kind: 'handed back' };
  }
  const failure = describe(member, error);
  const { tooManyBlocks, note, ...next } = decide({ ...failure, claim, history, maxRetries });
  if (tooManyBlocks !== undefined) failure.tooManyBlocks = tooManyBlocks;
  if (note !== undefined) failure.message += ` (${note})`;
  const changed = await failTask(pool, claim, failure, next);
  return changed ? { kind: 'failed', error: failure, retryMs: next.waitMs } : { kind: 'settled' };
}

/**
 * Claims a task and works on it, with its lease kept up. Success is what the work itself recorded in its own
 * transaction; every failure is recorded here. `signal` is the job's: it ends the attempt.
 */
export async function attemptTask(
  member: Member,
  taskId: string,
  signal: AbortSignal,
  work: (input: Work) => Promise<void>,
): Promise<AttemptOutcome> {
  let live: LiveWork | undefined;
  let maxRetries = 0;
  // Not AbortSignal.any: a signal that outlives thousands of attempts would keep a little of each.
  const onLeave = () => live?.abort.abort(signal.reason);
  signal.addEventListener('abort', onLeave, { once: true });
  try {
    return await withSession(member.ledger.pool, async (session) => {
      const claim = await bound(session, AbortSignal.timeout(claimWithinMs), () =>
        claimTask(session, member.id, taskId),
      );
      if (claim.kind !== 'claimed') return claim;
      const current: LiveWork = { claim, bytes: 0, abort: new AbortController() };
      live = current;
      member.attempts.add(current);
      await barrier('task.claimed');
      const run = await member.plans.load(claim);
      maxRetries = run.plan.settings.maxRetries;
      refuseDeadly(claim);
      if (signal.aborted) onLeave();
      const stop = current.abort.signal;
      const onBytes = (bytes: number) => {
        current.bytes += bytes;
      };
      const onWait = (reason: string) => {
        current.waiting = { reason, since: Date.now() };
      };
      await bound(session, stop, () => work({ claim, run, session, signal: stop, onBytes, onWait }));
      member.away.isBack(claim.runId);
      await barrier('task.done');
      return { kind: 'done' };
    });
  } catch (error) {
    if (live === undefined) throw error;
    return await settleFailure(member, live.claim, error, maxRetries);
  } finally {
    signal.removeEventListener('abort', onLeave);
    if (live !== undefined) member.attempts.delete(live);
  }
}
