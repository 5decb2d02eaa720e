import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { openSession } from '../../src/pg/session.ts';
import { type EmbeddedServer, startServer } from '../embedded/server.ts';

const settings = { shared_buffers: '512MB', max_wal_size: '8GB', autovacuum: 'off', jit: 'off' };

/** A database of its own, and a session in it whose search path is `public`. */
export interface BenchDatabase {
  url: string;
  session: pg.Client;
}

/** Embedded PostgreSQL servers of a bench, with nothing of them left when it ends. */
export class BenchServers {
  readonly #folder: string;
  readonly #servers: EmbeddedServer[] = [];
  readonly #sessions: pg.Client[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<BenchServers> {
    const folder = await mkdtemp(join(tmpdir(), 'rowfleet-bench-'));
    await chmod(folder, 0o755);
    return new BenchServers(folder);
  }

  async start(): Promise<EmbeddedServer> {
    const dataDir = join(this.#folder, `postgres-${this.#servers.length + 1}`);
    const server = await startServer({ version: 18, dataDir, settings });
    this.#servers.push(server);
    return server;
  }

  async createDatabase(server: EmbeddedServer, name: string): Promise<BenchDatabase> {
    const admin = await openSession(endpointFromUrl(server.superuserUrl), 'rowfleet bench');
    await admin.query(`create database ${name}`);
    await admin.end();
    const url = server.urlFor(name);
    const session = await openSession(endpointFromUrl(url), 'rowfleet bench');
    this.#sessions.push(session);
    await session.query('set search_path = public');
    return { url, session };
  }

  async stop(): Promise<void> {
    for (const session of this.#sessions) await session.end();
    for (const server of this.#servers) await server.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
