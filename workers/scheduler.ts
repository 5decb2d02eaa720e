import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { controlJob } from '../jobs/control.ts';
import { openQueues } from '../jobs/queues.ts';
import { safeMessage } from '../src/pg/errors.ts';
import { openSession } from '../src/pg/session.ts';
import { drive, type Pace } from './drive.ts';
import { join, type Member, type MemberOptions } from './member.ts';

/**
 * Milliseconds until the ledger is looked at again; a ring wakes the scheduler at once. Soon after something was
 * done, since the first batches of a table take milliseconds and each teaches the size of the next.
 */
const paceMs: Record<Pace, number> = { busy: 20, active: 150, idle: 1_000 };

/**
 * Waits until this process leads: the advisory lock lives and dies with the session that is returned, and all
 * of the leader's ledger writes go through that session.
 */
async function lead(member: Member, signal: AbortSignal): Promise<pg.Client | undefined> {
  while (!signal.aborted) {
    const session = await openSession(member.ledger.endpoint, 'rowfleet scheduler').catch((error) => {
      member.log.warn({ error: safeMessage(error) }, 'target not reachable');
      return undefined;
    });
    if (session !== undefined) {
      const { rows } = await session.query(
        `select pg_try_advisory_lock(hashtextextended('rowfleet.scheduler', 0)) as got`,
      );
      if (rows[0].got) return session;
      await session.end().catch(() => {});
    }
    await sleep(paceMs.idle, undefined, { signal }).catch(() => {});
  }
  return undefined;
}

/** A scheduler: drives every active run of the ledger, one leader at a time, until `signal`. */
export async function runScheduler(options: MemberOptions): Promise<void> {
  const member = await join('scheduler', options);
  const queues = openQueues(member.backend);
  let wake: () => void = () => {};
  const doorbell = member.backend.openWorker(controlJob.queue, async () => wake(), { concurrency: 1 });
  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        options.signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      options.signal.addEventListener('abort', done, { once: true });
      wake = done;
    });
  while (!options.signal.aborted) {
    const session = await lead(member, options.signal);
    if (session === undefined) break;
    member.log.info('leading');
    try {
      await drive(member, queues, session, options.signal, (pace) => pause(paceMs[pace]));
    } catch (error) {
      member.log.error({ error: safeMessage(error) }, 'lost the lead');
    } finally {
      await session.end().catch(() => {});
    }
  }
  await Promise.all(
    [doorbell.close(), queues.close()].map((closing) => Promise.race([closing, sleep(3_000)])),
  );
  await member.close();
}
