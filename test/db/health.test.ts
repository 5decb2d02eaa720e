import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EmbeddedServer, startServer } from '../../ops/embedded/server.ts';
import {
  readActiveSessions,
  readDatabaseSize,
  readReplicationLag,
  readVacuums,
  readWalToArchive,
} from '../../src/catalog/health.ts';
import { until } from '../fleet-processes.ts';

let folder: string;
let server: EmbeddedServer;
let standby: EmbeddedServer | undefined;
let superuser: pg.Client;
/** May see what everybody may. */
let app: pg.Client;
/** May see how the server is. */
let monitor: pg.Client;

const settings = {
  fsync: 'off',
  wal_level: 'replica',
  archive_mode: 'on',
  autovacuum_naptime: '1s',
  // A vacuum that takes as long as the test.
  autovacuum_vacuum_cost_delay: '100ms',
  autovacuum_vacuum_cost_limit: 1,
};

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  client.on('error', () => {});
  await client.connect();
  return client;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rowfleet-health-'));
  await chmod(folder, 0o755);
  const command = { archive_command: `test ! -e ${join(folder, 'archive-full')}` };
  server = await startServer({
    version: 18,
    dataDir: join(folder, 'primary'),
    settings: { ...settings, ...command },
  });
  superuser = await connect(server.superuserUrl);
  await superuser.query(`create role app login password 'app'; create role monitor login password 'monitor';
    grant pg_monitor to monitor; grant create on schema public to app`);
  app = await connect(server.urlFor('postgres', 'app', 'app'));
  monitor = await connect(server.urlFor('postgres', 'monitor', 'monitor'));
});

afterAll(async () => {
  await Promise.all([superuser, app, monitor].map((client) => client?.end().catch(() => {})));
  await standby?.stop();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A standby of the server, from a copy of its files. */
async function startStandby(): Promise<EmbeddedServer> {
  const dataDir = join(folder, 'standby');
  const backup = await connect(server.superuserUrl);
  await backup.query(`select pg_backup_start('standby', true)`);
  await promisify(execFile)('cp', ['-a', join(folder, 'primary'), dataDir]);
  const { rows } = await backup.query('select labelfile from pg_backup_stop(false)');
  await backup.end();
  await rm(join(dataDir, 'postmaster.pid'), { force: true });
  const { uid, gid } = await stat(dataDir);
  for (const [name, text] of Object.entries({ backup_label: rows[0].labelfile, 'standby.signal': '' })) {
    await writeFile(join(dataDir, name), text);
    await chown(join(dataDir, name), uid, gid);
  }
  const { hostname, port, password } = new URL(server.superuserUrl);
  const primary = `host=${hostname} port=${port} user=postgres password=${decodeURIComponent(password)} application_name=east`;
  return startServer({
    version: 18,
    dataDir,
    settings: { ...settings, primary_conninfo: primary, wal_receiver_status_interval: 1 },
  });
}

test('sessions that are active on the source, of others only, for a role that may see them', async () => {
  expect(await readActiveSessions(app)).toEqual({ needs: expect.stringContaining('pg_read_all_stats') });
  expect(await readActiveSessions(monitor)).toMatchObject({ value: 0 });
  const busy = await connect(server.superuserUrl);
  const ours = await connect(
    `${server.urlFor('postgres', 'monitor', 'monitor')}&application_name=rowfleet%20loader`,
  );
  await superuser.query('select pg_advisory_lock(1)');
  const waiting = [busy, ours].map((client) => client.query('select pg_advisory_lock_shared(1)'));
  const reading = await until('it is seen', async () => {
    const answer = await readActiveSessions(monitor);
    return 'value' in answer && answer.value > 0 && answer;
  });
  expect(reading).toEqual({ value: 1, what: '1 sessions are active on the source' });
  await superuser.query('select pg_advisory_unlock(1)');
  await Promise.all(waiting);
  await Promise.all([busy.end(), ours.end()]);
});

test('an autovacuum of a target table, for everybody', async () => {
  await app.query(
    `create table public.book as select i as id, repeat('x', 100) as t from generate_series(1, 20000) i`,
  );
  await app.query('create table public.other as table public.book with no data');
  const oid = async (name: string) =>
    (await app.query(`select $1::regclass::oid::int as oid`, [name])).rows[0].oid;
  const tables = [await oid('public.book'), await oid('public.other')];
  expect(await readVacuums(app, [tables[1]])).toMatchObject({ value: 0 });
  await app.query('delete from public.book where id % 2 = 0');
  const reading = await until('autovacuum is at it', async () => {
    const answer = await readVacuums(app, tables);
    return answer.value > 0 && answer;
  });
  expect(reading).toEqual({ value: 1, what: 'a vacuum or analyze is at public.book' });
  expect(await readVacuums(app, [tables[1]])).toMatchObject({ value: 0 });
});

test('WAL that waits to be archived, from its directory or from what the archiver did last', async () => {
  const next = async (n: number) => {
    for (let i = 0; i < n; i++) {
      await superuser.query(`select pg_logical_emit_message(false, 'x', 'x')`);
      await superuser.query('select pg_switch_wal()');
    }
  };
  expect(await readWalToArchive(app)).toEqual({ needs: expect.stringContaining('pg_monitor') });
  await next(1);
  await until('everything is archived', async () => {
    const answers = [await readWalToArchive(app), await readWalToArchive(monitor)];
    return answers.every((answer) => 'value' in answer && answer.value === 0);
  });
  await writeFile(join(folder, 'archive-full'), '');
  await next(3);
  const what = '3 WAL files of the target wait to be archived';
  expect(await readWalToArchive(monitor)).toEqual({ value: 3, what });
  expect(await readWalToArchive(app)).toEqual({ value: 3, what });
});

test('the lag of a standby that does not replay, and that it caught up', async () => {
  expect(await readReplicationLag(app)).toMatchObject({ value: 0 });
  standby = await startStandby();
  const east = await connect(standby.superuserUrl);
  expect(await readReplicationLag(app)).toEqual({ needs: expect.stringContaining('pg_read_all_stats') });
  const write = () => superuser.query(`select pg_logical_emit_message(true, 'x', 'x')`);
  const caughtUp = () =>
    until('it has caught up', async () => {
      await write();
      const { rows } = await superuser.query(
        `select replay_lag is not null and replay_lag < interval '500 ms' as fresh from pg_stat_replication`,
      );
      return rows[0]?.fresh === true;
    });
  await caughtUp();
  await east.query('select pg_wal_replay_pause()');
  await until('it pauses', async () => {
    const { rows } = await east.query('select pg_get_wal_replay_pause_state() as state');
    return rows[0].state === 'paused';
  });
  await write();
  const reading = await until('it lags behind', async () => {
    const answer = await readReplicationLag(monitor);
    return 'value' in answer && answer.value >= 1 && answer;
  });
  expect(reading.what).toMatch(/^the replication lag of east is \d+ s$/);
  await east.query('select pg_wal_replay_resume()');
  await caughtUp();
  expect(await readReplicationLag(monitor)).toMatchObject({ value: 0 });
  await east.end();
});

test('the size of the database', async () => {
  const before = await readDatabaseSize(app);
  await app.query(`create table public.big as select repeat('x', 1000) from generate_series(1, 20000)`);
  const after = await readDatabaseSize(app);
  expect(after.value - before.value).toBeGreaterThan(0.02);
  expect(after.what).toMatch(/^the target database has 0\.0\d+ GB$/);
});
