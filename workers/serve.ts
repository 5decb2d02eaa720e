import { setTimeout as sleep } from 'node:timers/promises';
import { DelayedError, type Job, type Processor, type Worker } from 'bullmq';
import type { buildJob } from '../jobs/build.ts';
import type { copyJob } from '../jobs/copy.ts';
import type { Doorbell } from '../jobs/doorbell.ts';
import { closeWithin } from '../jobs/queues.ts';
import type { validateJob } from '../jobs/validate.ts';
import { safeMessage } from '../src/pg/errors.ts';
import { failureCode } from '../src/pg/failure-class.ts';
import { type AttemptOutcome, attemptTask, Leaving, type Work } from './attempt.ts';
import type { Member } from './member.ts';
import type { Slots } from './slots.ts';

/** Milliseconds that attempts get to finish after SIGTERM before they are rolled back and handed back. */
const graceMs = Number(process.env.ROWFLEET_GRACE_SECONDS ?? 5) * 1000;

/** Turns an outcome into what BullMQ does with the job. The ledger has recorded everything already. */
async function answer(
  job: Job<Doorbell>,
  token: string | undefined,
  outcome: AttemptOutcome,
): Promise<string> {
  if (outcome.kind === 'busy') {
    await job.moveToDelayed(Date.now() + Math.ceil(outcome.waitMs) + 50, token);
    throw new DelayedError();
  }
  // The job fails for whoever looks at the queue; whether the task is tried again is the ledger's business.
  if (outcome.kind === 'failed') throw new Error(`${outcome.error.code}: ${outcome.error.message}`);
  return outcome.kind;
}

function logOutcome(member: Member, bell: Doorbell, outcome: AttemptOutcome, ms: number): void {
  const fields = { run: bell.run, task: bell.task, ms: Math.round(ms) };
  if (outcome.kind === 'failed') {
    const next = outcome.retryMs === null ? 'no more tries' : `next try in ${Math.round(outcome.retryMs)} ms`;
    member.log.error({ ...fields, error: outcome.error }, `attempt failed, ${next}`);
  } else if (outcome.kind === 'done') {
    member.log.info(fields, 'task done');
  } else {
    member.log.debug(fields, `task ${outcome.kind}`);
  }
}

function countOutcome(member: Member, task: ServedJob['task'], outcome: AttemptOutcome, ms: number): void {
  if (outcome.kind !== 'done' && outcome.kind !== 'failed') return;
  const labels = { outcome: outcome.kind };
  const { batches, builds, checks, batchSeconds } = member.metrics;
  ({ batch: batches, build: builds, check: checks })[task].inc(labels);
  if (task === 'batch') batchSeconds.observe(labels, ms / 1000);
}

/** The ledger could not be told what became of a task: the next sign of life says so, and the scheduler rings again. */
function takeTrouble(member: Member, bell: Doorbell, error: unknown): void {
  member.trouble = safeMessage(error);
  member.log.error({ run: bell.run, task: bell.task, error: member.trouble }, 'cannot take up work');
}

/** How long a slot rests that met a task of a run which this process leaves to others: one of them is quicker then. */
const restMs = 1_000;

/** Puts a job back for others. */
async function leaveToOthers(job: Job<Doorbell>, token: string | undefined): Promise<never> {
  await job.moveToDelayed(Date.now() + 50, token);
  await sleep(restMs);
  throw new DelayedError();
}

type ServedJob = typeof copyJob | typeof buildJob | typeof validateJob;

/** Serves the doorbells of one kind of job with one kind of work; `slots` hear of what went wrong. */
export function serve(
  member: Member,
  served: ServedJob,
  leaving: AbortSignal,
  work: (input: Work) => Promise<void>,
  slots?: Slots,
): Worker {
  // A job's lock may be lost: the lease in the ledger is what says whose the task is, and whoever takes the job finds it.
  const process: Processor<Doorbell> = async (job, token) => {
    if (member.away.isFrom(job.data.run)) return leaveToOthers(job, token);
    const started = performance.now();
    const outcome = await attemptTask(member, job.data.task, leaving, work).catch((error: unknown) => {
      slots?.hear(failureCode(error));
      takeTrouble(member, job.data, error);
      throw error;
    });
    member.trouble = null;
    if (outcome.kind === 'failed') slots?.hear(outcome.error.sqlState ?? outcome.error.code);
    const ms = performance.now() - started;
    logOutcome(member, job.data, outcome, ms);
    countOutcome(member, served.task, outcome, ms);
    return answer(job, token, outcome);
  };
  return member.backend.openWorker(served.queue, process, { concurrency: member.concurrency });
}

/**
 * Waits until `signal` asks the process to leave, or it cannot go on, which is thrown in the end; then lets attempts finish for the grace period, ends the
 * rest, which hands them back, and closes everything.
 */
export async function serveUntil(
  member: Member,
  signal: AbortSignal,
  start: (leaving: AbortSignal) => Worker[],
): Promise<void> {
  const leaving = new AbortController();
  const workers = start(leaving.signal);
  const over = AbortSignal.any([signal, member.broken.signal]);
  if (!over.aborted) await new Promise((resolve) => over.addEventListener('abort', resolve, { once: true }));
  member.log.info({ attempts: member.attempts.size }, 'leaving');
  const timer = setTimeout(() => leaving.abort(new Leaving()), graceMs);
  await closeWithin(
    workers.map((worker) => worker.close()),
    graceMs + 3_000,
  );
  clearTimeout(timer);
  await member.close();
  member.broken.signal.throwIfAborted();
}
