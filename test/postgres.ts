import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { inject } from 'vitest';
import type { ServerVersion } from '../ops/embedded/server.ts';
import { type Endpoint, endpointFromUrl } from '../src/pg/endpoint.ts';
import { ident } from '../src/pg/quote.ts';
import { openSession } from '../src/pg/session.ts';

/** A database of its own for one test or one test file. */
export interface TestDatabase {
  version: ServerVersion;
  name: string;
  /** Connects as the owner: by default a role that is no superuser. */
  url: string;
  superuserUrl: string;
  /** The same as `url`. */
  endpoint: Endpoint;
  /** A pinned session of rowfleet's own, as the owner; ended by `drop`. */
  open(): Promise<pg.Client>;
  /** Runs one statement as the owner, in an ordinary session (search_path public). */
  query<R extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    values?: unknown[],
  ): Promise<pg.QueryResult<R>>;
  /** Runs any number of statements, in one implicit transaction unless they hold their own. */
  exec(sql: string): Promise<void>;
  /** The same as the superuser, for what an owner may not do. */
  execAsSuperuser(sql: string): Promise<void>;
  /** Closes the sessions opened here, so that the database can serve as a template. */
  close(): Promise<void>;
  /** Ends every session and removes the database; nothing under ROWFLEET_KEEP=1. */
  drop(): Promise<void>;
}

export interface DatabaseOptions {
  /** A database on the same server to clone. Nobody may be connected to it. */
  template?: string;
  /** Who owns it. Defaults to `app`, which may only do what an owner may. */
  owner?: 'app' | 'superuser';
  /** Defaults to a name that nobody else has. */
  name?: string;
}

async function once(url: string, run: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client(url);
  client.on('error', () => {});
  await client.connect();
  try {
    await run(client);
  } finally {
    await client.end();
  }
}

/** Runs statements on a server itself (database `postgres`), as the superuser: roles, other databases. */
export async function onServer(version: ServerVersion, sql: string, values?: unknown[]): Promise<void> {
  await once(inject('servers')[version].superuserUrl, (client) => client.query(sql, values));
}

/** Creates a database on the test run's server of that version. */
export async function createDatabase(
  version: ServerVersion,
  options: DatabaseOptions = {},
): Promise<TestDatabase> {
  const server = inject('servers')[version];
  const name = options.name ?? `test_${randomBytes(6).toString('hex')}`;
  const owner = options.owner === 'superuser' ? 'postgres' : server.app.name;
  const template = options.template === undefined ? '' : ` template ${ident(options.template)}`;
  // In memory, a copy of the template's files takes half of the time of version 15's own way, through the log.
  const strategy = version >= 15 ? ' strategy file_copy' : '';
  await onServer(version, `create database ${ident(name)} owner ${ident(owner)}${template}${strategy}`);

  const superuser = new URL(server.superuserUrl);
  superuser.pathname = `/${encodeURIComponent(name)}`;
  const own = new URL(superuser);
  if (owner === server.app.name) {
    own.username = server.app.name;
    own.password = encodeURIComponent(server.app.password);
  }
  return connect(version, name, own.href, superuser.href);
}

/** A database that is there already, on the test run's server of that version unless `drop` says how it goes. */
export function connect(
  version: ServerVersion,
  name: string,
  url: string,
  superuserUrl: string,
  drop = () => onServer(version, `drop database if exists ${ident(name)} with (force)`),
): TestDatabase {
  const endpoint = endpointFromUrl(url);
  const sessions = new Set<pg.Client>();
  let pool: pg.Pool | undefined;
  const ordinary = () => {
    pool ??= new pg.Pool({ connectionString: url, max: 4, idleTimeoutMillis: 1_000, allowExitOnIdle: true });
    if (pool.listenerCount('error') === 0) pool.on('error', () => {});
    return pool;
  };
  const close = async () => {
    await Promise.all([...sessions].map((session) => session.end().catch(() => {})));
    sessions.clear();
    const ending = pool;
    pool = undefined;
    await ending?.end();
  };
  return {
    version,
    name,
    url,
    superuserUrl,
    endpoint,
    async open() {
      const session = await openSession(endpoint, 'rowfleet test');
      sessions.add(session);
      return session;
    },
    query: (sql, values) => ordinary().query(sql, values),
    async exec(sql) {
      const session = await ordinary().connect();
      try {
        await session.query(sql);
        // Else the counters tell of this write up to 10 s later, as if it came after what follows (14: half a second).
        if (version >= 15) await session.query('select pg_stat_force_next_flush()');
      } finally {
        session.release();
      }
    },
    execAsSuperuser: (sql) => once(superuserUrl, (client) => client.query(sql)),
    close,
    async drop() {
      if (process.env.ROWFLEET_KEEP === '1') return;
      // A backend that has to be ended first costs a tenth of a second; a session in the middle of a statement is ended so.
      await Promise.race([close(), sleep(50)]);
      await drop();
      await close();
    },
  };
}
