import type { Duplex } from 'node:stream';
import pg from 'pg';
import { clientFor, poolClientFor } from './client.ts';
import type { Endpoint } from './endpoint.ts';

/** One server session. Everything that runs SQL takes one of these. */
export type Session = pg.ClientBase;

/**
 * What every session pins when it opens, so that no server, role or database setting changes what rowfleet
 * reads or writes. `search_path` is empty: rowfleet's own SQL qualifies every name, and what carries plan
 * text pins the plan's path for its transaction.
 */
export const pins: Readonly<Record<string, string>> = {
  TimeZone: 'UTC',
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  extra_float_digits: '1',
  bytea_output: 'hex',
  search_path: '',
  row_security: 'off',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  standard_conforming_strings: 'on',
  client_min_messages: 'warning',
};

/** What the server is to notice by itself when a client's host has gone without a word: within half a minute. */
export const serverKeepalive: Readonly<Record<string, number>> = {
  tcp_keepalives_idle: 10,
  tcp_keepalives_interval: 5,
  tcp_keepalives_count: 3,
  tcp_user_timeout: 25_000,
};

const pinWithinMs = 15_000;

function clientConfig(endpoint: Endpoint, applicationName: string): pg.PoolConfig {
  const own = endpoint.config.application_name;
  return {
    connectionTimeoutMillis: 15_000,
    ...endpoint.config,
    application_name: own ? `${applicationName} (${own})` : applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  };
}

async function pin(session: Session): Promise<void> {
  const values = Object.entries(pins);
  const calls = values.map((_, i) => `pg_catalog.set_config($${2 * i + 1}, $${2 * i + 2}, false)`);
  await session.query({
    text: `select ${calls.join(', ')}`,
    values: values.flat(),
    query_timeout: pinWithinMs,
  } as pg.QueryConfig);
  // Version 17's, and no setting that an older server knows; and what was called verified, or was started, a crash of the
  // server must not take back.
  await session.query({
    text: `select pg_catalog.set_config('transaction_timeout', '0', false)
            where pg_catalog.current_setting('server_version_num')::int >= 170000
           union all
           select pg_catalog.set_config('synchronous_commit', 'local', false)
            where pg_catalog.current_setting('synchronous_commit') = 'off'`,
    query_timeout: pinWithinMs,
  } as pg.QueryConfig);
  const keepalive = Object.entries(serverKeepalive).map(([name, value]) => `set ${name} = ${value}`);
  // The first lets the server notice within seconds that its client has gone while a statement runs (PostgreSQL 14+).
  await session.query({
    text: ['set client_connection_check_interval = 2000', ...keepalive].join('; '),
    query_timeout: pinWithinMs,
  } as pg.QueryConfig);
}

/**
 * Opens one pinned session that is not pooled. The caller ends it. With `queryTimeoutMs` a query that is not answered
 * in time fails; none by default.
 */
export async function openSession(
  endpoint: Endpoint,
  applicationName: string,
  options: { queryTimeoutMs?: number } = {},
): Promise<pg.Client> {
  const { queryTimeoutMs } = options;
  const client = new (clientFor(endpoint))({
    ...clientConfig(endpoint, applicationName),
    ...(queryTimeoutMs === undefined ? {} : { query_timeout: queryTimeoutMs }),
  });
  await client.connect();
  try {
    await pin(client);
  } catch (error) {
    await client.end().catch(() => {});
    throw error;
  }
  return client;
}

/**
 * A pool of pinned sessions, at most `max` of them; nothing is opened before the first use. With `queryTimeoutMs` a
 * connection or a query that is not answered in time fails, as over a network that drops everything; none by default.
 */
export function openPool(
  endpoint: Endpoint,
  options: { max: number; applicationName: string; queryTimeoutMs?: number },
): pg.Pool {
  const pool = new pg.Pool({
    ...clientConfig(endpoint, options.applicationName),
    ...(options.queryTimeoutMs === undefined
      ? {}
      : { query_timeout: options.queryTimeoutMs, connectionTimeoutMillis: options.queryTimeoutMs }),
    Client: poolClientFor(endpoint),
    max: options.max,
    idleTimeoutMillis: 30_000,
    onConnect: pin,
  });
  pool.on('error', () => {});
  // A session that breaks while it is in use shows itself in the query under way.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** Runs `fn` with a session of the pool; a session whose work failed is closed rather than reused. */
export async function withSession<T>(pool: pg.Pool, fn: (session: pg.PoolClient) => Promise<T>): Promise<T> {
  const session = await pool.connect();
  let failure: Error | undefined;
  try {
    return await fn(session);
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    session.release(failure);
  }
}

/**
 * Cuts a session's connection at once, whatever it is doing: the server rolls back. What waits on the session
 * fails, and a pool drops it.
 */
export function destroySession(session: Session): void {
  (session as unknown as { connection: { stream: Duplex } }).connection.stream.destroy();
}

/** Runs `fn` with `session` bound to `signal`: an abort destroys the session. */
export async function bound<T>(session: Session, signal: AbortSignal, fn: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const onAbort = () => destroySession(session);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await fn();
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Ends a session in good order, or cuts it where the server does not answer within a second. */
export async function endSession(session: pg.Client): Promise<void> {
  const late = setTimeout(() => destroySession(session), 1_000);
  await session.end().catch(() => {});
  clearTimeout(late);
}

/** A pool for queries that are answered at once: one that is not answered within `ms` fails. */
export function answeringWithin(pool: pg.Pool, ms: number): Pick<pg.Pool, 'query'> {
  const query = (text: string, values?: unknown[]) =>
    pool.query({ text, ...(values === undefined ? {} : { values }), query_timeout: ms } as pg.QueryConfig);
  return { query } as unknown as Pick<pg.Pool, 'query'>;
}
