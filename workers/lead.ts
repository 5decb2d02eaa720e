import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { endBlockers, giveUpLead, leadMs, renewLead, takeLead } from '../src/ledger/leader.ts';
import { safeMessage } from '../src/pg/errors.ts';
import { withSession } from '../src/pg/session.ts';
import type { Member } from './member.ts';

const renewEveryMs = 1_000;

/** A former leader that still commits gets this long before its backend is ended. */
const patienceMs = 500;

/** The lead over all runs of a ledger. */
export interface Lead {
  epoch: string;
  /** Aborts when the lead is lost, or when nobody can tell any more. */
  lost: AbortSignal;
  /** Lets a standby take over at once. */
  giveUp(): Promise<void>;
}

/** Takes the lead if it is free; ends the backends of a former leader that stand in the way. */
async function tryToLead(member: Member): Promise<string | undefined> {
  return withSession(member.control, async (session) => {
    const { processID } = session as pg.PoolClient & { processID: number };
    const timer = setInterval(() => {
      endBlockers(member.control, processID).catch(() => {}); // Tried again, or the takeover itself fails.
    }, patienceMs);
    try {
      return await takeLead(session, member.id);
    } finally {
      clearInterval(timer);
    }
  });
}

/** Keeps the lead: renewed every second, and lost with the first answer that says so or when none came for too long. */
function keepLead(member: Member, epoch: string): Lead {
  const lost = new AbortController();
  const timer = setInterval(renew, renewEveryMs);
  let renewedAt = Date.now();
  let renewing = false;
  async function renew(): Promise<void> {
    if (renewing) return;
    renewing = true;
    const askedAt = Date.now();
    try {
      if (await renewLead(member.control, epoch)) renewedAt = askedAt;
      else lose('another scheduler leads');
    } catch (error) {
      member.log.warn({ error: safeMessage(error) }, 'cannot renew the lead');
    } finally {
      renewing = false;
    }
    if (Date.now() - renewedAt > leadMs) lose('the lead could not be renewed in time');
  }
  function lose(reason: string): void {
    clearInterval(timer);
    if (!lost.signal.aborted) lost.abort(new Error(reason));
  }
  return {
    epoch,
    lost: lost.signal,
    async giveUp() {
      clearInterval(timer);
      await giveUpLead(member.control, epoch).catch(() => {}); // It runs out by itself.
    },
  };
}

/** Stands by until this process leads, or `signal` aborts. */
export async function waitForLead(member: Member, signal: AbortSignal): Promise<Lead | undefined> {
  while (!signal.aborted) {
    try {
      const epoch = await tryToLead(member);
      if (epoch !== undefined) return keepLead(member, epoch);
    } catch (error) {
      member.log.warn({ error: safeMessage(error) }, 'cannot ask for the lead');
    }
    await sleep(renewEveryMs, undefined, { signal }).catch(() => {});
  }
  return undefined;
}
