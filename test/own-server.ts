import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedServer, type ServerVersion, startServer } from '../ops/embedded/server.ts';
import { endpointFromUrl } from '../src/pg/endpoint.ts';
import { openSession } from '../src/pg/session.ts';

/** `fast` ends all sessions and shuts down; `immediate` is a crash: the next start recovers from the WAL. */
export type Shutdown = 'fast' | 'immediate';

/** A PostgreSQL server that a test may restart, with one database of role `app`, who is no superuser. */
export interface OwnServer {
  /** Of its database, as `app`. */
  url: string;
  superuserUrl: string;
  /** The data directory's parent, which the server's user can reach. */
  folder: string;
  /** Runs statements in its database as the superuser. */
  exec(sql: string): Promise<void>;
  shutDown(how: Shutdown): Promise<void>;
  /** Starts it again on its old port; clients can connect when it returns. */
  start(): Promise<void>;
  /** Ends it and removes its files. */
  remove(): Promise<void>;
}

/** No durability against a crash of the machine; a crash of the server it survives, as every server does. */
const defaults = { fsync: 'off', jit: 'off', max_connections: 100 };

/** Starts a server of its own, with a database `name`. */
export async function startOwnServer(
  version: ServerVersion,
  name: string,
  settings: Record<string, string | number> = {},
): Promise<OwnServer> {
  const folder = await mkdtemp(join(tmpdir(), 'rowfleet-server-'));
  await chmod(folder, 0o755);
  const options = { version, dataDir: join(folder, 'data'), settings: { ...defaults, ...settings } };
  let server: EmbeddedServer = await startServer(options);
  const once = async (url: string, sql: string) => {
    const session = await openSession(endpointFromUrl(url), 'rowfleet test');
    await session.query(`set search_path to public; ${sql}`).finally(() => session.end().catch(() => {}));
  };
  await once(server.superuserUrl, `create role app login password 'app'`);
  const admin = await openSession(endpointFromUrl(server.superuserUrl), 'rowfleet test');
  await admin.query(`create database ${name} owner app`);
  await admin.end();
  const superuserUrl = server.urlFor(name);
  return {
    url: server.urlFor(name, 'app', 'app'),
    superuserUrl,
    folder,
    exec: (sql) => once(superuserUrl, sql),
    async shutDown(how) {
      if (how === 'immediate') process.kill(server.pid, 'SIGQUIT');
      await server.stop();
    },
    async start() {
      server = await startServer({ ...options, port: server.port });
    },
    async remove() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
