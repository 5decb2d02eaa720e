import type { Endpoint } from './endpoint.ts';
import { isConnectionLost, sqlState } from './errors.ts';
import { destroySession, endSession, openSession, type Session } from './session.ts';

const pids = new WeakMap<Session, number>();

async function pidOf(session: Session): Promise<number> {
  const known = pids.get(session);
  if (known !== undefined) return known;
  // A pooler makes up the number that the protocol tells.
  const { rows } = await session.query('select pg_catalog.pg_backend_pid() as pid');
  pids.set(session, rows[0].pid);
  return rows[0].pid;
}

type Sign = 'there' | 'gone' | 'silence';

async function lookFor(pid: number, endpoint: Endpoint, withinMs: number): Promise<Sign> {
  try {
    const other = await openSession(endpoint, 'rowfleet watch', { queryTimeoutMs: withinMs });
    try {
      const { rowCount } = await other.query('select 1 from pg_catalog.pg_stat_activity where pid = $1', [
        pid,
      ]);
      return rowCount === 1 ? 'there' : 'gone';
    } finally {
      await endSession(other);
    }
  } catch (error) {
    // A server that refuses a session has answered.
    return sqlState(error) === undefined && isConnectionLost(error) ? 'silence' : 'there';
  }
}

/**
 * Runs `fn`, which may wait for hours for one answer on `session`, and asks in another session every `everyMs` (default
 * 10 s) whether the first is still there. One whose server process has gone, or whose server did not answer twice in a
 * row, is cut: a network that drops everything lets nobody know otherwise.
 */
export async function watched<T>(
  session: Session,
  endpoint: Endpoint,
  fn: () => Promise<T>,
  everyMs = 10_000,
): Promise<T> {
  const pid = await pidOf(session);
  let silences = 0;
  let looking = false;
  const timer = setInterval(async () => {
    if (looking) return;
    looking = true;
    const sign = await lookFor(pid, endpoint, everyMs);
    silences = sign === 'silence' ? silences + 1 : 0;
    if (sign === 'gone' || silences === 2) destroySession(session);
    looking = false;
  }, everyMs);
  try {
    return await fn();
  } finally {
    clearInterval(timer);
  }
}
