import { SnapshotGone } from '../src/copy/copy-batch.ts';
import { RowfleetError } from '../src/errors.ts';
import {
  type Claim,
  type ClaimedTask,
  claimTask,
  countFailures,
  failTask,
  handBackTask,
  type RecordedError,
  StaleAttempt,
} from '../src/ledger/claim.ts';
import { safeMessage, sqlState } from '../src/pg/errors.ts';
import { type Session, withSession } from '../src/pg/session.ts';
import { GivenUp, type LiveWork, type Member } from './member.ts';
import { bound, type LoadedRun, PlanMoved } from './run-plans.ts';

/** What became of one ring. */
export type AttemptOutcome =
  | Exclude<Claim, ClaimedTask>
  | { kind: 'done' }
  | { kind: 'handed back' }
  /** Another attempt took the task over; nothing of this one was kept. */
  | { kind: 'stale' }
  | { kind: 'failed'; error: RecordedError; retryMs: number | null };

/** What a kind of work gets: the session that holds the claim, and a signal that ends it. */
export interface Work {
  claim: ClaimedTask;
  run: LoadedRun;
  session: Session;
  signal: AbortSignal;
  onBytes(bytes: number): void;
}

/** The process leaves, and the work is to be taken up by another. */
export class Leaving extends Error {
  constructor() {
    super('the process is leaving');
    this.name = 'Leaving';
  }
}

const lockNotAvailable = '55P03';

/** Exponential back-off from half a second to half a minute, with up to half of it as jitter. */
export function retryDelayMs(failures: number): number {
  const base = Math.min(500 * 2 ** failures, 30_000);
  return base / 2 + Math.random() * (base / 2);
}

function recorded(error: unknown): RecordedError {
  if (error instanceof RowfleetError) {
    return {
      code: error.code,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    };
  }
  return { code: sqlState(error) ?? 'INTERNAL', message: safeMessage(error).replaceAll('\0', '') };
}

async function settleFailure(
  member: Member,
  claim: ClaimedTask,
  error: unknown,
  maxRetries: number,
): Promise<AttemptOutcome> {
  if (error instanceof StaleAttempt) return { kind: 'stale' };
  if (error instanceof Leaving || error instanceof GivenUp) {
    await handBackTask(member.ledger.pool, claim);
    return { kind: 'handed back' };
  }
  if (error instanceof SnapshotGone || sqlState(error) === lockNotAvailable) {
    await handBackTask(member.ledger.pool, claim, 500);
    return { kind: 'handed back' };
  }
  const failures = await countFailures(member.ledger.pool, claim);
  const givesUp = error instanceof PlanMoved || failures >= maxRetries;
  const retryMs = givesUp ? null : retryDelayMs(failures);
  const record = recorded(error);
  await failTask(member.ledger.pool, claim, record, retryMs);
  return { kind: 'failed', error: record, retryMs };
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
  try {
    return await withSession(member.ledger.pool, async (session) => {
      const claim = await claimTask(session, member.id, taskId);
      if (claim.kind !== 'claimed') return claim;
      const current: LiveWork = { claim, bytes: 0, abort: new AbortController() };
      live = current;
      member.attempts.add(current);
      const run = await member.plans.load(claim);
      maxRetries = run.plan.settings.maxRetries;
      const stop = AbortSignal.any([signal, current.abort.signal]);
      const onBytes = (bytes: number) => {
        current.bytes += bytes;
      };
      await bound(session, stop, () => work({ claim, run, session, signal: stop, onBytes }));
      return { kind: 'done' };
    });
  } catch (error) {
    if (live === undefined) throw error;
    return await settleFailure(member, live.claim, error, maxRetries);
  } finally {
    if (live !== undefined) member.attempts.delete(live);
  }
}
