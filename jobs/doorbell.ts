import type { Job, Queue } from 'bullmq';

/** What a job carries: ids only. The ledger row says everything else. */
export interface Doorbell {
  run: string;
  task: string;
}

/** The ledger counts attempts and decides on retries: to BullMQ every ring is tried once. */
const jobOptions = { attempts: 1, removeOnComplete: { count: 200 }, removeOnFail: { count: 200 } };

/**
 * Rings for one attempt at a task. Ringing again is harmless: a job that still waits or runs is left alone,
 * one that ended makes room for the new ring.
 */
export async function ring(queue: Queue, name: string, bell: Doorbell, attempt: number): Promise<void> {
  const jobId = `task-${bell.task}-${attempt}`;
  const earlier: Job | undefined = await queue.getJob(jobId);
  if (earlier !== undefined) {
    const state = await earlier.getState();
    if (state !== 'completed' && state !== 'failed') return;
    await earlier.remove();
  }
  await queue.add(name, bell, { ...jobOptions, jobId });
}
