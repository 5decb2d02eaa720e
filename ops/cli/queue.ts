import type { Ledger } from '../../src/ledger/ledger.ts';

// Imported when used: the queue's libraries take longer to load than most commands take to run.
const openBackend = async (ledger: Ledger) => {
  const { openQueueBackend } = await import('../../jobs/backend.ts');
  return openQueueBackend(process.env.QUEUE_URL, ledger);
};

/** Rings for the scheduler of a target. */
export interface Bell {
  /** A lost ring only costs the second until the scheduler looks by itself. */
  ring(runId: string): Promise<void>;
}

/**
 * Opens the queue, which proves that it answers before a run or a fleet is started on it, and hands `use` its bell.
 * The ledger must have been migrated. Throws QUEUE_UNREACHABLE, QUEUE_URL_INVALID.
 */
export async function withBell<T>(ledger: Ledger, use: (bell: Bell) => Promise<T>): Promise<T> {
  const backend = await openBackend(ledger);
  const { openQueues } = await import('../../jobs/queues.ts');
  const { wakeScheduler } = await import('../../jobs/control.ts');
  const queues = openQueues(backend);
  try {
    return await use({ ring: (runId) => wakeScheduler(queues.control, runId) });
  } finally {
    await queues.close();
  }
}

/** Removes every trace of the queue of a target. Throws QUEUE_UNREACHABLE, QUEUE_URL_INVALID. */
export async function removeQueue(ledger: Ledger): Promise<void> {
  const backend = await openBackend(ledger);
  await backend.destroy();
}
