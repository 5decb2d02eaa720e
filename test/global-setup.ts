import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { type EmbeddedServer, type ServerVersion, startServer } from '../ops/embedded/server.ts';
import { makeDataFolder } from './data-folder.ts';

/** The role that owns test databases: like the owner on a managed service, it is no superuser. */
const app = { name: 'app', password: 'app password' };

/** How test files reach one of the servers. */
export interface TestServer {
  version: ServerVersion;
  /** Connects as the superuser to the database `postgres`. */
  superuserUrl: string;
  app: { name: string; password: string };
}

declare module 'vitest' {
  interface ProvidedContext {
    servers: Record<ServerVersion, TestServer>;
    /** The compiled command line: it starts in a third of the time that tsx takes. */
    cli: string;
  }
}

const root = fileURLToPath(new URL('../', import.meta.url));

/** Compiles the checkout for tests that start processes, into a folder that goes with the test run. */
async function compile(): Promise<string> {
  const folder = await mkdtemp(join(root, 'dist-test-'));
  await promisify(execFile)(process.execPath, ['--import', 'tsx', 'ops/deploy/build.ts', basename(folder)], {
    cwd: root,
  });
  return folder;
}

/** Durability off: a test's data need not survive the machine, and commits get ten times faster. */
const settings = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  wal_level: 'replica',
  max_wal_size: '256MB',
  max_connections: 300,
  autovacuum_naptime: '1h', // autovacuum takes locks and cores at moments of its own choosing
  jit: 'off',
};

async function prepareServer(server: EmbeddedServer): Promise<TestServer> {
  const client = new pg.Client(server.superuserUrl);
  await client.connect();
  await client.query(`create role ${app.name} login password '${app.password}'`);
  await client.end();
  return { version: server.version, superuserUrl: server.superuserUrl, app };
}

/** Starts one server of each version for the whole test run. `ROWFLEET_KEEP=1` leaves them, to look at afterwards. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const keep = process.env.ROWFLEET_KEEP === '1';
  const folder = await makeDataFolder();
  const start = (version: ServerVersion) =>
    startServer({ version, dataDir: join(folder, String(version)), settings, detached: keep });
  const [compiled, ...started] = await Promise.all([compile(), start(14), start(15), start(18)]);
  const [v14, v15, v18] = await Promise.all(started.map(prepareServer));
  project.provide('cli', join(compiled, 'ops/cli/main.js'));
  project.provide('servers', { 14: v14!, 15: v15!, 18: v18! });
  return async () => {
    await rm(compiled, { recursive: true, force: true });
    if (keep) {
      console.log('Kept, until you end the processes and remove', folder);
      for (const server of started) console.log(`  pid ${server.pid}  ${server.superuserUrl}`);
      return;
    }
    await Promise.all(started.map((server) => server.stop()));
    await rm(folder, { recursive: true, force: true });
  };
}
