import { afterAll, beforeAll, expect, test } from 'vitest';
import { isTrying, letOneThrough } from '../../src/ledger/breakers.ts';
import { putHold, readHolds } from '../../src/ledger/holds.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { RunBreakers } from '../../workers/run-breakers.ts';
import { until } from '../fleet-processes.ts';
import { createLedger, createRun } from '../ledger.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let database: TestDatabase;
let ledger: Ledger;
let runId: string;

beforeAll(async () => {
  database = await createDatabase(18);
  ledger = await createLedger(database);
  runId = await createRun(ledger);
  await ledger.pool.query(
    `insert into rowfleet.task (run_id, kind, relation, spec) select $1, 'batch', 'book', '{}' from generate_series(1, 3)`,
    [runId],
  );
});

afterAll(async () => {
  await ledger.close();
  await database.drop();
});

/** What the run's next attempts come to, one after the other. */
async function end(taskId: string, failures: (object | null)[]): Promise<void> {
  await ledger.pool.query(
    `insert into rowfleet.attempt (task_id, number, run_id, worker, backend_pid, backend_start, lease_until, ended_at, outcome, error)
     select $2, 1 + n + (select count(*) from rowfleet.attempt where task_id = $2), $1, 'test', 1, now(), now(),
            clock_timestamp() + n * interval '1 microsecond', case when f = 'null' then 'done' else 'failed' end, nullif(f, 'null')
       from jsonb_array_elements($3) with ordinality as e (f, n)`,
    [runId, taskId, JSON.stringify(failures)],
  );
}

const full = { class: 'wait', code: '53100', side: 'target', message: 'no space left on the device' };
const holds = () => readHolds(ledger.pool, runId);
const events = async () =>
  (await ledger.pool.query('select message from rowfleet.event order by id')).rows.map((e) => e.message);

test('more failures than successes hold the run, and one task at a time finds out when it can go on', async () => {
  const site = { runId, ledger: ledger.pool, source: database.endpoint, target: database.endpoint };
  const write = (fn: (on: Ledger['pool']) => Promise<void>) => fn(ledger.pool);
  const breakers = new RunBreakers({ ...site, write }, { server: 20, batch: 20 });
  await end('1', [null, null, null, null, full, full, full, full]);
  await breakers.look();
  expect(await holds()).toEqual([]);
  await end('1', [full, full, full]);
  await breakers.look();
  expect(await holds()).toMatchObject([
    {
      ...{ flow: null, kind: 'breaker', cause: 'failures' },
      reason: expect.stringMatching(
        /^\d+ of the last \d+ attempts failed, the last one of: no space left on the device; one is let through every 0.02 s$/,
      ),
    },
  ]);
  const letThrough = () =>
    until('a task is let through', async () => {
      await breakers.look();
      const { rows } = await ledger.pool.query('select lets::text from rowfleet.hold');
      return (rows[0]?.lets as string | null) ?? undefined;
    });
  await end(await letThrough(), [full]);
  await breakers.look();
  expect(await holds()).toHaveLength(1);
  // An earlier leader's hold is taken over as it is.
  const successor = new RunBreakers({ ...site, write }, { server: 20, batch: 20 });
  await successor.look();
  expect(await holds()).toHaveLength(1);
  await end(await letThrough(), [null]);
  await until('the run goes on', async () => {
    await breakers.look();
    return (await holds()).length === 0;
  });
  expect(await events()).toEqual([expect.stringMatching(/^held: /), 'goes on: an attempt succeeded']);
});

test('what is let through is held back by nothing else', async () => {
  const other = await createRun(ledger);
  const { rows } = await ledger.pool.query(
    `insert into rowfleet.task (run_id, kind, flow, relation, spec, failures)
     values ($1, 'batch', 'paused', 'p', '{}', 0), ($1, 'batch', 'other', 'o', '{}', 1) returning id::text`,
    [other],
  );
  const [paused, free] = rows.map(({ id }) => id as string) as [string, string];
  await putHold(ledger.pool, { runId: other, flow: 'paused', kind: 'pause', cause: 'ann', reason: 'paused' });
  await putHold(ledger.pool, { runId: other, kind: 'breaker', cause: 'failures', reason: '11 of 20' });
  expect(await letOneThrough(ledger.pool, other)).toBe(free);
  expect(await isTrying(ledger.pool, free)).toBe(true);
  // Paused while it waits for its turn: another one is to be chosen.
  await putHold(ledger.pool, { runId: other, flow: 'other', kind: 'pause', cause: 'ann', reason: 'paused' });
  expect(await isTrying(ledger.pool, free)).toBe(false);
  expect(await isTrying(ledger.pool, paused)).toBe(false);
  expect(await letOneThrough(ledger.pool, other)).toBeUndefined();
});

test('a paused run says nothing about whether it could go on; one with nothing left to do goes on', async () => {
  const paused = await createRun(ledger);
  const { rows } = await ledger.pool.query(
    `insert into rowfleet.task (run_id, kind, relation, spec) values ($1, 'batch', 'book', '{}') returning id::text`,
    [paused],
  );
  const [{ id }] = rows;
  const site = { runId: paused, ledger: ledger.pool, source: database.endpoint, target: database.endpoint };
  const write = (fn: (on: Ledger['pool']) => Promise<void>) => fn(ledger.pool);
  const breakers = new RunBreakers({ ...site, write }, { server: 20, batch: 0 });
  const look = async () => {
    await breakers.look();
    return (await readHolds(ledger.pool, paused)).map(({ kind }) => kind).sort();
  };
  const hold = { runId: paused, kind: 'pause', cause: 'ann', reason: 'paused' } as const;
  await putHold(ledger.pool, hold);
  await putHold(ledger.pool, { runId: paused, kind: 'breaker', cause: 'failures', reason: '11 of 20' });
  // Each look begins a trial where none is, and ends one that is over.
  for (let i = 0; i < 5; i++) expect(await look()).toEqual(['breaker', 'pause']);
  await ledger.pool.query(`update rowfleet.task set state = 'done' where id = $1`, [id]);
  await until('nothing is left to try', async () => (await look()).join() === 'pause');
  const told = `select message from rowfleet.event where run_id = $1`;
  expect((await ledger.pool.query(told, [paused])).rows).toEqual([
    { message: 'goes on: no task is left that waits for it' },
  ]);
});

test('what attempts say of a source that the scheduler itself reaches holds nothing', async () => {
  const run = await createRun(ledger);
  const { rows } = await ledger.pool.query(
    `insert into rowfleet.task (run_id, kind, relation, spec) values ($1, 'batch', 'book', '{}') returning id::text`,
    [run],
  );
  const fail = () =>
    ledger.pool.query(
      `insert into rowfleet.attempt (task_id, number, run_id, worker, backend_pid, backend_start, lease_until, ended_at, outcome, error)
       select $1, n + (select count(*) from rowfleet.attempt where task_id = $1), $2, 'test', 1, now(), now(), clock_timestamp(), 'failed', $3
         from generate_series(1, 5) n`,
      [rows[0].id, run, { class: 'wait', code: 'ECONNREFUSED', side: 'source', message: 'nothing listens' }],
    );
  const reached = { ...database.endpoint };
  const site = { runId: run, ledger: ledger.pool, source: reached, target: database.endpoint };
  const write = (fn: (on: Ledger['pool']) => Promise<void>) => fn(ledger.pool);
  const breakers = new RunBreakers({ ...site, write }, { server: 60_000, batch: 60_000 });
  const look = async () => {
    await breakers.look();
    return readHolds(ledger.pool, run);
  };
  await fail();
  for (const end = Date.now() + 1_000; Date.now() < end; ) expect(await look()).toEqual([]);
  // Once it is silent for the scheduler too, the next ones hold.
  reached.config = { ...reached.config, port: 1 };
  await fail();
  const [hold] = await until('the run is held', async () => {
    const holds = await look();
    return holds.length > 0 && holds;
  });
  expect(hold).toMatchObject({ kind: 'breaker', cause: 'source' });
});
