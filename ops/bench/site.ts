import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { openSession, type Session } from '../../src/pg/session.ts';
import { type EmbeddedServer, startServer } from '../embedded/server.ts';

const settings = { shared_buffers: '512MB', max_wal_size: '8GB', autovacuum: 'off', jit: 'off' };

/** Two databases on embedded servers, for one bench. */
export interface BenchSite {
  sourceUrl: string;
  targetUrl: string;
  /** Superuser's sessions, search_path public. */
  source: Session;
  target: Session;
  /** Of the source's server. */
  sourcePid: number;
  /** Makes one more database beside the target. */
  createDatabase(name: string): Promise<{ url: string; session: Session }>;
}

/**
 * Starts a server, or one for the source and one for the target, and removes it with all that is in it when `bench` has ended.
 * @param options.apart source and target are servers of their own. Defaults to false
 */
export async function withBenchSite(
  bench: (site: BenchSite) => Promise<void>,
  { apart = false }: { apart?: boolean } = {},
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'rowfleet-bench-'));
  await chmod(folder, 0o755);
  const servers: EmbeddedServer[] = [];
  const sessions: Awaited<ReturnType<typeof openSession>>[] = [];
  const start = async (name: string) => {
    const server = await startServer({ version: 18, dataDir: join(folder, name), settings });
    servers.push(server);
    return server;
  };
  const open = async (url: string) => {
    const session = await openSession(endpointFromUrl(url), 'rowfleet bench');
    sessions.push(session);
    await session.query('set search_path = public');
    return session;
  };
  const create = async (server: EmbeddedServer, name: string) => {
    await (await open(server.superuserUrl)).query(`create database ${name}`);
    return { url: server.urlFor(name), session: await open(server.urlFor(name)) };
  };
  try {
    const first = await start('postgres');
    const second = apart ? await start('postgres-2') : first;
    const source = await create(first, 'source');
    const target = await create(second, 'target');
    await bench({
      ...{ sourceUrl: source.url, source: source.session, sourcePid: first.pid },
      ...{ targetUrl: target.url, target: target.session },
      createDatabase: (name) => create(second, name),
    });
  } finally {
    for (const session of sessions) await session.end();
    for (const server of servers) await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
