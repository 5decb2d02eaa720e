import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { openSession, type Session } from '../../src/pg/session.ts';
import { startServer } from '../embedded/server.ts';

/** An embedded server with two databases, for one bench. */
export interface BenchSite {
  sourceUrl: string;
  targetUrl: string;
  /** Superuser's sessions, search_path public. */
  source: Session;
  target: Session;
}

/** Starts a server, and removes it with all that is in it when `bench` has ended. */
export async function withBenchSite(bench: (site: BenchSite) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'rowfleet-bench-'));
  await chmod(folder, 0o755);
  const settings = { shared_buffers: '512MB', max_wal_size: '8GB', autovacuum: 'off', jit: 'off' };
  const server = await startServer({ version: 18, dataDir: join(folder, 'postgres'), settings });
  const sessions: Awaited<ReturnType<typeof openSession>>[] = [];
  const open = async (url: string) => {
    const session = await openSession(endpointFromUrl(url), 'rowfleet bench');
    sessions.push(session);
    await session.query('set search_path = public');
    return session;
  };
  try {
    const admin = await open(server.superuserUrl);
    for (const name of ['source', 'target']) await admin.query(`create database ${name}`);
    const [sourceUrl, targetUrl] = [server.urlFor('source'), server.urlFor('target')];
    await bench({ sourceUrl, targetUrl, source: await open(sourceUrl), target: await open(targetUrl) });
  } finally {
    for (const session of sessions) await session.end();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
