import type pg from 'pg';
import { openQueueBackend, type QueueBackend } from '../jobs/backend.ts';
import { closeWithin } from '../jobs/queues.ts';
import { RowfleetError } from '../src/errors.ts';
import { type ClaimedTask, leaseMs } from '../src/ledger/claim.ts';
import { type Ledger, migrateLedger, openLedger } from '../src/ledger/ledger.ts';
import { type Seal, sealFrom } from '../src/ledger/seal.ts';
import { endWorker, insertWorker, renewLeases, type WorkerKind } from '../src/ledger/workers.ts';
import { createLogger, type Logger } from '../src/log.ts';
import { createMetrics, type Metrics, serveMetrics } from '../src/metrics.ts';
import { endpointFromUrl } from '../src/pg/endpoint.ts';
import { isOtherSchema, safeMessage } from '../src/pg/errors.ts';
import { openPool } from '../src/pg/session.ts';
import { Away } from './away.ts';
import { RunPlans } from './run-plans.ts';
import type { SlotRange } from './slot-policy.ts';

/** What every process of the fleet is told. */
export interface MemberOptions {
  targetUrl: string;
  /** `redis://` or `rediss://`; the target database itself when absent. */
  queueUrl?: string;
  /** Tasks of one kind at the same time; for a loader a range that it finds the best of. Defaults to 2. */
  concurrency?: number | SlotRange;
  /** Ends the process in good order. */
  signal: AbortSignal;
  /** Loopback port for Prometheus; none by default. */
  metricsPort?: number;
}

/** An attempt of this worker that is under way. */
export interface LiveWork {
  claim: ClaimedTask;
  bytes: number;
  /** What it was last heard to wait for. */
  waiting?: { reason: string; since: number };
  abort: AbortController;
}

/** A process of the fleet: its place in the ledger, its queue, its attempts and their leases. */
export interface Member {
  id: string;
  ledger: Ledger;
  /** Sessions for what must be answered within seconds: signs of life, the lead, how attempts ended. */
  control: pg.Pool;
  backend: QueueBackend;
  log: Logger;
  metrics: Metrics;
  plans: RunPlans;
  /** What rows in quarantine are encrypted with. */
  seal: Seal;
  /** Tasks of one kind at the same time, now. */
  concurrency: number;
  /** Milliseconds that the target took to answer the last heartbeat. */
  latencyMs: number;
  attempts: Set<LiveWork>;
  /** Why its last try at a task could not even be claimed, or recorded; null where it could. */
  trouble: string | null;
  /** Runs whose tasks it leaves to others. */
  away: Away;
  /** Aborts when the process cannot go on, with the reason: the ledger is gone, or another version's. */
  broken: AbortController;
  close(): Promise<void>;
}

const heartbeatMs = 1_000;

/** A statement of the ledger's own takes milliseconds; after this long the server, or the way to it, is gone. */
const controlTimeoutMs = 5_000;

/** Another attempt took over, or the run does not want this one any more. */
export class GivenUp extends Error {
  constructor() {
    super('the attempt is not wanted any more');
    this.name = 'GivenUp';
  }
}

/** Who waits says so again within this time. */
const waitingForMs = 12_000;

const waitingOf = ({ waiting }: LiveWork): string | null =>
  waiting !== undefined && Date.now() - waiting.since < waitingForMs ? waiting.reason : null;

async function beat(member: Member): Promise<void> {
  const mine = [...member.attempts];
  const lost = await renewLeases(
    member.control,
    member.id,
    mine.map((work) => ({
      taskId: work.claim.taskId,
      number: work.claim.number,
      bytes: work.bytes,
      waiting: waitingOf(work),
    })),
    member.trouble,
    member.away.reasons(),
  );
  for (const work of mine) if (lost.includes(work.claim.taskId)) work.abort.abort(new GivenUp());
}

/** Trying again would not help, and nothing that the ledger shows would tell why nothing goes on. */
function ledgerChanged({ ledger }: Member, error: unknown): RowfleetError {
  return new RowfleetError(
    'LEDGER_CHANGED',
    `the ledger in ${ledger.endpoint.label} is not as this process knows it: ${safeMessage(error)}`,
    {
      hint: "it was removed, or is another version's: start this process again, with the version that is used",
      cause: error,
    },
  );
}

/** Renews the leases every second. Where that fails for longer than a lease lasts, others may be at the work: it ends. */
function startHeartbeat(member: Member): () => void {
  let beating = false;
  let renewedAt = Date.now();
  const timer = setInterval(async () => {
    if (beating) return;
    beating = true;
    const askedAt = Date.now();
    try {
      await beat(member);
      renewedAt = askedAt;
      member.latencyMs = Date.now() - askedAt;
    } catch (error) {
      member.log.warn({ error: safeMessage(error) }, 'heartbeat failed');
      if (isOtherSchema(error)) member.broken.abort(ledgerChanged(member, error));
      if (Date.now() - renewedAt > leaseMs)
        for (const work of member.attempts) work.abort.abort(new GivenUp());
    } finally {
      beating = false;
    }
  }, heartbeatMs);
  return () => clearInterval(timer);
}

/** A plain number is where a process begins, and the most that it does: it may only do less while the servers suffer. */
export function slotRangeOf(concurrency: number | SlotRange = 2): SlotRange {
  if (typeof concurrency !== 'number') return concurrency;
  return { floor: 1, ceiling: concurrency, start: concurrency };
}

/** At most; each run that stands in a lock queue has one in hand. */
const schedulerSessions = 20;

/** Joins the fleet. Throws when target or queue cannot be reached. */
export async function join(kind: WorkerKind, options: MemberOptions): Promise<Member> {
  const seal = sealFrom(process.env);
  const { start: concurrency, ceiling } = slotRangeOf(options.concurrency);
  // Copies and builds each take a session, beside the heartbeat and what the ledger asks.
  const ledger = openLedger(endpointFromUrl(options.targetUrl, process.env, 'TARGET_DATABASE_URL'), {
    max: kind === 'scheduler' ? schedulerSessions : 2 * ceiling + 4,
    applicationName: `rowfleet ${kind}`,
  });
  const control = openPool(ledger.endpoint, {
    max: 3,
    applicationName: `rowfleet ${kind} control`,
    queryTimeoutMs: controlTimeoutMs,
  });
  try {
    await migrateLedger(ledger);
    const backend = await openQueueBackend(options.queueUrl, ledger);
    const log = createLogger(kind);
    const metrics = createMetrics(kind);
    const server =
      options.metricsPort === undefined
        ? undefined
        : await serveMetrics(metrics.registry, options.metricsPort);
    const id = await insertWorker(ledger.pool, kind, concurrency);
    const plans = new RunPlans(control, ceiling, ledger.pool);
    const member: Member = {
      ...{ id, ledger, control, backend, log, metrics, plans, seal, concurrency, latencyMs: 0 },
      attempts: new Set(),
      trouble: null,
      away: new Away(),
      broken: new AbortController(),
      async close() {
        stopHeartbeat();
        await endWorker(control, id).catch(() => {});
        await server?.close();
        // A session that hangs must not keep the process: whoever comes next ends it.
        await closeWithin([plans.close(), control.end(), ledger.close()]);
      },
    };
    const stopHeartbeat = startHeartbeat(member);
    log.info({ worker: id, queue: backend.label, concurrency }, `${kind} joined`);
    return member;
  } catch (error) {
    await Promise.allSettled([control.end(), ledger.close()]);
    throw error;
  }
}
