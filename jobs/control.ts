import type { Queue } from 'bullmq';

/** Wakes the scheduler for one run. Payload: `{run}`. Served by the scheduler. */
export const controlJob = { queue: 'control', name: 'wake' } as const;

/** Rings the scheduler; it also looks by itself within a second, so a lost ring costs no more than that. */
export async function wakeScheduler(queue: Queue, run: string): Promise<void> {
  await queue.add(controlJob.name, { run }, { removeOnComplete: { count: 50 }, removeOnFail: { count: 50 } });
}
