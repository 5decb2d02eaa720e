import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { runnableBy } from '../../ops/embedded/binaries.ts';
import { assertReachable, closedFolder } from '../../ops/embedded/run-user.ts';
import { startServer } from '../../ops/embedded/server.ts';
import { stopServer } from '../../ops/embedded/stop.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rowfleet-embedded-'));
  await chmod(folder, 0o755);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const runs = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query({ text: sql, rowMode: 'array' });
  await client.end();
  return rows[0]?.[0];
}

test('a data directory can be started again, and refuses a second server', async () => {
  const dataDir = join(folder, 'again');
  const first = await startServer({ version: 18, dataDir, settings: { fsync: 'off' } });
  await ask(first.superuserUrl, 'create table kept (id int)');
  await expect(startServer({ version: 18, dataDir })).rejects.toMatchObject({ code: 'EMBEDDED_START' });
  expect(await ask(first.superuserUrl, 'select 1')).toBe(1);
  await first.stop();
  expect(runs(first.pid)).toBe(false);

  const second = await startServer({ version: 18, dataDir });
  expect(await ask(second.superuserUrl, 'select count(*)::int from kept')).toBe(0);
  expect(await ask(second.superuserUrl, 'show listen_addresses')).toBe('127.0.0.1');
  await second.stop();
  await second.stop();
});

test('it ends with the process that started it, also when that is killed', async () => {
  const script = `
    const { startServer } = await import('./ops/embedded/server.ts');
    const server = await startServer({ version: 15, dataDir: ${JSON.stringify(join(folder, 'killed'))} });
    process.stdout.write(server.pid + '\\n');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: join(import.meta.dirname, '..', '..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout, 'data');
  const pid = Number(String(line));
  expect(runs(pid)).toBe(true);
  child.kill('SIGKILL');
  await vi.waitUntil(() => !runs(pid), { timeout: 15_000, interval: 20 });
});

test('a detached server stays until its data directory is stopped', async () => {
  const dataDir = join(folder, 'detached');
  const server = await startServer({ version: 14, dataDir, detached: true });
  expect(runs(server.pid)).toBe(true);
  expect(await stopServer(dataDir)).toBe(true);
  expect(runs(server.pid)).toBe(false);
  expect(await stopServer(dataDir)).toBe(false);
});

test('a folder that is closed to the server is named before anything starts', async () => {
  const closed = join(await mkdtemp(join(folder, 'closed-')), 'data');
  const stranger = { uid: 54_321, gid: 54_321 };
  expect(closedFolder(join(folder, 'data'), stranger)).toBeUndefined();
  expect(() => assertReachable(closed, stranger)).toThrow(/is closed to it$/);
  expect(() => assertReachable(closed, {})).not.toThrow();
});

test('programs in a closed folder are run from a copy', async () => {
  const native = await mkdtemp(join(folder, 'native-'));
  await mkdir(join(native, 'bin'));
  await mkdir(join(native, 'lib'));
  const installed = { postgres: join(native, 'bin', 'postgres'), initdb: join(native, 'bin', 'initdb') };
  await writeFile(installed.postgres, 'the server', { mode: 0o755 });
  await writeFile(installed.initdb, 'the other', { mode: 0o755 });
  const stranger = { uid: 54_321, gid: 54_321 };
  expect(runnableBy({}, 15, installed)).toEqual(installed);
  const { postgres, initdb } = runnableBy(stranger, 15, installed);
  expect(closedFolder(installed.postgres, stranger)).toBe(native);
  expect(closedFolder(postgres, stranger)).toBeUndefined();
  expect([await readFile(postgres, 'utf8'), await readFile(initdb, 'utf8')]).toEqual([
    'the server',
    'the other',
  ]);
  await rm(join(postgres, '..', '..'), { recursive: true });
});
