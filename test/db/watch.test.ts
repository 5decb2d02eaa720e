import { afterEach, beforeEach, expect, test } from 'vitest';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { openSession } from '../../src/pg/session.ts';
import { watched } from '../../src/pg/watch.ts';
import { until } from '../fleet-processes.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';
import { startTcpProxy, type TcpProxy } from '../tcp-proxy.ts';

let database: TestDatabase;
let proxy: TcpProxy;

beforeEach(async () => {
  database = await createDatabase(18);
  proxy = await startTcpProxy(database.url);
});

afterEach(async () => {
  await proxy.close();
  await database.drop();
});

/** A session that waits for a lock, and what becomes of it, each with its own way to the server. */
async function waitForLock(watchUrl: string) {
  const endpoint = endpointFromUrl(proxy.urlOf(database.url));
  const session = await openSession(endpoint, 'waits');
  const holder = await database.open();
  await holder.query('select pg_advisory_lock(1)');
  const answer = watched(
    session,
    endpointFromUrl(watchUrl),
    () => session.query('select pg_advisory_lock(1)'),
    100,
  );
  answer.catch(() => {});
  const waits = () =>
    holder.query(
      `select pid from pg_stat_activity where application_name = 'waits' and wait_event_type = 'Lock'`,
    );
  const pid = await until('it waits', async () => (await waits()).rows[0]?.pid as number | undefined);
  return { session, holder, answer, pid };
}

/** Cut by who watches it: the server's own timeouts need half a minute to end it. */
async function expectCut(answer: Promise<unknown>): Promise<void> {
  const since = performance.now();
  await expect(answer).rejects.toThrow('Connection terminated');
  expect(performance.now() - since).toBeLessThan(15_000);
}

test('a session that waits for long is left alone', async () => {
  const { session, holder, answer } = await waitForLock(database.url);
  const looks = `select 1 from pg_stat_activity where application_name = 'rowfleet watch'`;
  for (const what of ['it is looked for', 'it is looked for again'])
    await until(what, async () => (await holder.query(looks)).rowCount === 1);
  await holder.query('select pg_advisory_unlock(1)');
  await expect(answer).resolves.toMatchObject({ rowCount: 1 });
  await session.end();
});

test('a session whose server process is gone without a word is cut', async () => {
  const { holder, answer, pid } = await waitForLock(database.url);
  proxy.set('drop');
  await holder.query('select pg_terminate_backend($1)', [pid]);
  await expectCut(answer);
});

test('a session whose server is silent is cut', async () => {
  const { answer } = await waitForLock(proxy.urlOf(`${database.url}&connect_timeout=1`));
  proxy.set('drop');
  await expectCut(answer);
});
