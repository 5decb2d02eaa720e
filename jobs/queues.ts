import type { Queue } from 'bullmq';
import type { QueueBackend } from './backend.ts';
import { buildJob } from './build.ts';
import { controlJob } from './control.ts';
import { copyJob } from './copy.ts';
import { validateJob } from './validate.ts';

/** The four queues, for those who ring or look. */
export interface Queues {
  copy: Queue;
  build: Queue;
  validate: Queue;
  control: Queue;
  close(): Promise<void>;
}

/** Waits for closings that may hang when their server is gone, `ms` at most (default 3000). */
export async function closeWithin(closing: Promise<unknown>[], ms = 3_000): Promise<void> {
  const timer = new Promise((resolve) => setTimeout(resolve, ms));
  await Promise.race([Promise.allSettled(closing), timer]);
}

/** BullMQ's own close fails where Redis is gone, and leaves a connection that goes on trying. */
async function closeForGood(queue: Queue): Promise<void> {
  await queue.close().catch(() => queue.disconnect());
}

/** Opens one producer a queue. */
export function openQueues(backend: QueueBackend): Queues {
  const queues = {
    copy: backend.openQueue(copyJob.queue),
    build: backend.openQueue(buildJob.queue),
    validate: backend.openQueue(validateJob.queue),
    control: backend.openQueue(controlJob.queue),
  };
  return { ...queues, close: () => closeWithin(Object.values(queues).map(closeForGood)) };
}
