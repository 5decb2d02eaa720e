import type { Session } from '../pg/session.ts';
import type { Queryable } from './ledger.ts';

/** How long a leader may go without a sign of life before a standby takes over. Renewed every second. */
export const leadMs = 5_000;

const lease = `clock_timestamp() + $2 * interval '1 millisecond'`;

/** Another scheduler leads: nothing of what this one was about to write is kept. */
export class LeadLost extends Error {
  constructor(epoch: string) {
    super(`another scheduler took over from epoch ${epoch}`);
    this.name = 'LeadLost';
  }
}

/**
 * Takes the lead where its lease has run out; returns the new epoch, or undefined where somebody leads. Waits for
 * transactions in which the former leader still holds its epoch: see `endBlockers`.
 */
export async function takeLead(on: Queryable, worker: string): Promise<string | undefined> {
  const { rows } = await on.query(
    `update rowfleet.leader set epoch = epoch + 1, worker = $1, lease_until = ${lease}
      where lease_until < clock_timestamp() returning epoch::text`,
    [worker, leadMs],
  );
  return rows[0]?.epoch;
}

/**
 * Terminates the backends that keep the session of backend `pid` waiting: a former leader's transaction whose process
 * is stopped, or whose host is gone, would hold its epoch for ever.
 */
export async function endBlockers(on: Queryable, pid: number): Promise<void> {
  await on.query('select pg_terminate_backend(blocker) from unnest(pg_blocking_pids($1)) as blocker', [pid]);
}

/** A leader's sign of life; false where another one leads. */
export async function renewLead(on: Queryable, epoch: string): Promise<boolean> {
  const { rowCount } = await on.query(`update rowfleet.leader set lease_until = ${lease} where epoch = $1`, [
    epoch,
    leadMs,
  ]);
  return rowCount === 1;
}

/** Lets a standby take over at once. */
export async function giveUpLead(on: Queryable, epoch: string): Promise<void> {
  await on.query(`update rowfleet.leader set lease_until = '-infinity' where epoch = $1`, [epoch]);
}

/**
 * The scheduler's fence: keeps the epoch as it is until this transaction ends. Throws LeadLost where it has moved on.
 * A key-share lock lets the lease, which is no key, be renewed meanwhile.
 */
export async function holdLead(session: Session, epoch: string): Promise<void> {
  const { rowCount } = await session.query('select 1 from rowfleet.leader where epoch = $1 for key share', [
    epoch,
  ]);
  if (rowCount !== 1) throw new LeadLost(epoch);
}
