import type pg from 'pg';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { openSession } from '../../src/pg/session.ts';
import { type OwnServer, startOwnServer } from '../own-server.ts';
import { type RedisServer, startRedis } from '../redis.ts';
import { startTcpProxy, type TcpProxy } from '../tcp-proxy.ts';

/** Where a soak happens: two servers, perhaps a Redis, and a network in front of each. */
export interface SoakSite {
  source: OwnServer;
  target: OwnServer;
  /** Unset where the queue lives in the target. */
  redis?: RedisServer;
  network: { source: TcpProxy; target: TcpProxy; redis?: TcpProxy };
  /** Environment of a process, beside the servers or behind the network. */
  environment(where: 'direct' | 'behind the network'): NodeJS.ProcessEnv;
  /** Sessions of rowfleet's own kind, for comparing; `closeSessions` ends them. */
  databases: Record<'source' | 'target', { open(): Promise<pg.Client> }>;
  closeSessions(): Promise<void>;
  close(): Promise<void>;
}

const shape = `
  create table author (id int primary key, name text not null unique);
  create table book (
    id bigint generated always as identity primary key,
    author_id int not null references author,
    title text not null,
    price numeric(8, 2),
    at timestamptz,
    raw bytea
  );
  create index book_title on book (title);
  create table note (book_id bigint references book on delete cascade, body text);
  create table log (at timestamptz, message text);
  create index log_at on log (at);
  alter table author owner to app; alter table book owner to app; alter table note owner to app; alter table log owner to app;
`;

const rows = `
  insert into author select i, 'author ' || i from generate_series(1, 2000) i;
  insert into book (author_id, title, price, at, raw)
    select 1 + i % 2000, repeat('title ', i % 20) || i, i % 977 / 100.0, timestamptz '2020-01-01' + i * interval '1 minute',
           decode(md5(i::text), 'hex')
      from generate_series(1, 250000) i;
  insert into note select i, E'tab\\t and \\\\. and ' || i from generate_series(1, 150000) i;
  insert into log select timestamptz '2024-01-01' + i * interval '1 second', 'message ' || i from generate_series(1, 200000) i;
  analyze;
`;

/** Crashes are recovered from often here: small WAL, autovacuum that keeps up. */
const settings = {
  max_connections: 150,
  synchronous_commit: 'off',
  full_page_writes: 'off',
  autovacuum_naptime: '5s',
};

/** Starts everything, filled. PostgreSQL 15 to 18, as an upgrade would go. */
export async function openSite(withRedis: boolean): Promise<SoakSite> {
  const [source, target] = await Promise.all([
    startOwnServer(15, 'library', settings),
    startOwnServer(18, 'library', settings),
  ]);
  await Promise.all([source.exec(shape + rows), target.exec(shape)]);
  const redis = withRedis ? await startRedis() : undefined;
  const network: SoakSite['network'] = {
    source: await startTcpProxy(source.url),
    target: await startTcpProxy(target.url),
    ...(redis === undefined ? {} : { redis: await startTcpProxy(redis.url) }),
  };
  const sessions = new Set<pg.Client>();
  const database = (url: string) => ({
    async open() {
      const session = await openSession(endpointFromUrl(url), 'soak');
      sessions.add(session);
      return session;
    },
  });
  const closeSessions = async () => {
    await Promise.all([...sessions].map((session) => session.end().catch(() => {})));
    sessions.clear();
  };
  return {
    source,
    target,
    ...(redis === undefined ? {} : { redis }),
    network,
    environment(where) {
      const far = where === 'behind the network';
      const { QUEUE_URL: _queue, ...inherited } = process.env;
      return {
        ...inherited,
        SOURCE_DATABASE_URL: far ? network.source.urlOf(source.url) : source.url,
        TARGET_DATABASE_URL: far ? network.target.urlOf(target.url) : target.url,
        ...(redis === undefined ? {} : { QUEUE_URL: far ? network.redis!.urlOf(redis.url) : redis.url }),
      };
    },
    databases: { source: database(source.url), target: database(target.url) },
    closeSessions,
    async close() {
      await closeSessions();
      await Promise.all(Object.values(network).map((proxy: TcpProxy) => proxy.close()));
      await Promise.all([source.remove(), target.remove(), redis?.stop()]);
    },
  };
}
