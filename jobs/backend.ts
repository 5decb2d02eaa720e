import {
  createPostgresBackend,
  type Processor,
  Queue,
  runMigrations,
  Worker,
  type WorkerOptions,
  withBackend,
} from 'bullmq';
import { Redis } from 'ioredis';
import { RowfleetError } from '../src/errors.ts';
import type { Ledger } from '../src/ledger/ledger.ts';
import { settledConfig } from '../src/pg/client.ts';
import { serverKeepalive, withSession } from '../src/pg/session.ts';

/** The schema of the PostgreSQL backend, beside the ledger in the target database. */
export const queueSchema = 'rowfleet_queue';

/** Where doorbells are kept: Redis, or the target database itself. Made only when it was seen to answer. */
export interface QueueBackend {
  /** What people may see of it. */
  label: string;
  openQueue(name: string): Queue;
  openWorker(name: string, process: Processor, options: { concurrency: number }): Worker;
  /** Removes every key, table and row that the queues left. Needs all workers gone. */
  destroy(): Promise<void>;
}

/**
 * A dead worker's job is taken up again within seconds: lock and check are short. A stall is no failure, since
 * the ledger counts those; so many stalls are allowed. Source: BullMQ, "Stalled Jobs".
 */
const workerTiming = {
  lockDuration: 5_000,
  stalledInterval: 2_000,
  maxStalledCount: 10_000,
  drainDelay: 2, // seconds until an idle worker looks by itself: its listening connection may be dead
  runRetryDelay: 1_000, // after an error of the queue's server; 15 s by default
  removeOnComplete: { count: 200 },
  removeOnFail: { count: 200 },
} satisfies Partial<WorkerOptions>;

/** What the queue's server is asked takes milliseconds; after this long it, or the way to it, is gone. */
const answerWithinMs = 5_000;

/** Connection trouble is BullMQ's own to mend: it reconnects by itself. */
function quiet(worker: Worker): Worker {
  worker.on('error', () => {});
  return worker;
}

/** An error that names where the queue should have been and what to check. */
function unreachable(label: string, error: Error): RowfleetError {
  return new RowfleetError('QUEUE_UNREACHABLE', `the queue at ${label} does not answer: ${error.message}`, {
    hint: 'check QUEUE_URL and that the server runs; without QUEUE_URL the queue lives in the target database',
    cause: error,
  });
}

async function probeRedis(url: string, label: string): Promise<void> {
  const probe = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 5_000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  // What was wrong is in the event; what connect() throws says only that the connection is closed.
  let cause: Error | undefined;
  probe.on('error', (error) => {
    cause = error;
  });
  try {
    await probe.connect();
    await probe.ping();
  } catch (error) {
    throw unreachable(label, cause ?? (error as Error));
  } finally {
    probe.disconnect();
  }
}

async function deleteKeys(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1 });
  try {
    let cursor = '0';
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', `${prefix}:*`, 'COUNT', 500);
      if (keys.length > 0) await redis.unlink(...keys);
      cursor = next;
    } while (cursor !== '0');
  } finally {
    redis.disconnect();
  }
}

async function openRedisBackend(url: string, ledgerId: string): Promise<QueueBackend> {
  const { host } = new URL(url);
  const label = `Redis ${host}`;
  await probeRedis(url, label);
  // One Redis may serve several targets: each ledger has its own keys.
  const prefix = `rowfleet-${ledgerId.slice(0, 8)}`;
  const common = {
    url,
    retryStrategy: (times: number) => Math.min(50 * 2 ** times, 2_000),
  };
  return {
    label,
    openQueue(name) {
      const queue = new Queue(name, {
        prefix,
        connection: {
          ...common,
          maxRetriesPerRequest: 1,
          enableOfflineQueue: false,
          commandTimeout: answerWithinMs,
          socketTimeout: answerWithinMs, // A connection that a firewall forgot is made anew.
        },
      });
      queue.on('error', () => {});
      return queue;
    },
    openWorker(name, process, options) {
      // Its longest wait for a job is 10 s.
      const connection = { ...common, maxRetriesPerRequest: null, socketTimeout: 12_000 };
      return quiet(new Worker(name, process, { ...workerTiming, prefix, connection, ...options }));
    },
    destroy: () => deleteKeys(url, prefix),
  };
}

async function openPostgresBackend(ledger: Ledger): Promise<QueueBackend> {
  // A queue constructed before its schema is there never recovers: migrate first.
  await withSession(ledger.pool, (session) => runMigrations(session, queueSchema));
  const { Queue: PgQueue, Worker: PgWorker } = withBackend(createPostgresBackend);
  const config = await settledConfig(ledger.endpoint);
  const keepalive = Object.entries(serverKeepalive).map(([name, value]) => `-c ${name}=${value}`);
  const connection = (max: number) => ({
    ...(config as Record<string, unknown>),
    options: [config.options, ...keepalive].join(' ').trim(),
    application_name: 'rowfleet queue',
    keepAlive: true,
    query_timeout: answerWithinMs,
    connectionTimeoutMillis: answerWithinMs,
    schema: queueSchema,
    max,
  });
  return {
    label: `PostgreSQL ${ledger.endpoint.label}`,
    openQueue(name) {
      const queue = new PgQueue(name, { connection: connection(2) });
      queue.on('error', () => {});
      return queue as unknown as Queue;
    },
    openWorker(name, process, options) {
      const settings = { ...workerTiming, connection: connection(2), ...options };
      return quiet(new PgWorker(name, process as never, settings) as unknown as Worker);
    },
    async destroy() {
      await ledger.pool.query(`drop schema if exists ${queueSchema} cascade`);
    },
  };
}

/**
 * Opens the queue backend: Redis when `queueUrl` (QUEUE_URL, `redis://` or `rediss://`) is given, else
 * PostgreSQL in the target database. The ledger must have been migrated. Throws QUEUE_UNREACHABLE, QUEUE_URL_INVALID.
 */
export async function openQueueBackend(queueUrl: string | undefined, ledger: Ledger): Promise<QueueBackend> {
  if (queueUrl === undefined || queueUrl === '') return openPostgresBackend(ledger);
  if (!/^rediss?:\/\//.test(queueUrl) || !URL.canParse(queueUrl)) {
    throw new RowfleetError('QUEUE_URL_INVALID', 'QUEUE_URL is not a redis:// or rediss:// address', {
      kind: 'usage',
      hint: 'leave QUEUE_URL unset to keep the queue in the target database',
    });
  }
  const { rows } = await ledger.pool.query('select id::text from rowfleet.identity');
  return openRedisBackend(queueUrl, rows[0].id);
}
