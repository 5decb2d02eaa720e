import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { readHolds } from '../../src/ledger/holds.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { readRun } from '../../src/ledger/runs.ts';
import type { Throttle } from '../../src/plan/plan.ts';
import { RunHealth } from '../../workers/run-health.ts';
import { until } from '../fleet-processes.ts';
import { createLedger, createRun, emptyPlan } from '../ledger.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let database: TestDatabase;
let ledger: Ledger;
/** Someone who vacuums, or so it looks: what a vacuum locks is what shows it. */
let other: pg.Client;
let runId: string;

beforeAll(async () => {
  database = await createDatabase(18);
  ledger = await createLedger(database);
  await database.exec('create table book (id int)');
  other = await database.open();
  await other.query(`set application_name = 'psql'`);
});

afterAll(async () => {
  await ledger.close();
  await database.drop();
});

async function healthOf(throttle: Throttle): Promise<RunHealth> {
  const { rows } = await database.query(`select 'book'::regclass::oid::int as oid`);
  const target = { schema: 'public', name: 'book', oid: rows[0]!.oid, only: true, key: [] };
  const settings = { ...emptyPlan.settings, throttle };
  runId = await createRun(ledger, { ...emptyPlan, settings, targets: [target] });
  return successor();
}

async function successor(): Promise<RunHealth> {
  const run = await readRun(ledger.pool, runId);
  const site = { run, target: ledger.pool, source: database.endpoint, log: () => {} };
  return new RunHealth(() => ({ ...site, write: (fn) => fn(ledger.pool) }), { well: 10, held: 10 });
}

const holds = () => readHolds(ledger.pool, runId);
const events = async () =>
  (
    await ledger.pool.query('select message from rowfleet.event where run_id = $1 order by id', [runId])
  ).rows.map(({ message }) => message);
const vacuum = () => other.query('begin; lock table public.book in share update exclusive mode');

beforeEach(() => other.query('rollback').then(() => {}));

/** Looks again and again until it has come to be `n` holds. */
const looks = (health: RunHealth, n: number) =>
  until(`${n} holds are there`, async () => {
    await health.look();
    const there = await holds();
    return there.length === n && there;
  });

test('a measure over its limit holds the run, says why, and lets it go on when it is down', async () => {
  const health = await healthOf({ vacuum: { limit: 0, atMostMs: 60_000 } });
  await vacuum();
  const held = await looks(health, 1);
  expect(held).toMatchObject([
    { flow: null, kind: 'throttle', cause: 'vacuum', reason: 'a vacuum or analyze is at public.book' },
  ]);
  // What an earlier leader held is held since then.
  const next = await successor();
  await next.look();
  expect(await holds()).toEqual(held);
  await other.query('rollback');
  await looks(next, 0);
  expect(await events()).toEqual([
    'held: a vacuum or analyze is at public.book',
    'goes on: no target table is under vacuum',
  ]);
});

test('a measure that the plan asks for no more is let go', async () => {
  const health = await healthOf({ vacuum: { limit: 0, atMostMs: 60_000 } });
  await vacuum();
  await looks(health, 1);
  await ledger.pool.query(
    `update rowfleet.run set plan = plan #- '{settings,throttle,vacuum}' where id = $1`,
    [runId],
  );
  await (await successor()).look();
  expect(await holds()).toEqual([]);
});

test('held for as long as the plan allows, it goes on all the same, and is not held again at once', async () => {
  const health = await healthOf({ vacuum: { limit: 0, atMostMs: 100 } });
  await vacuum();
  await looks(health, 1);
  await looks(health, 0);
  await until('it was looked at once more', async () => {
    await health.look();
    return (await events()).length === 2;
  });
  expect(await events()).toEqual([
    'held: a vacuum or analyze is at public.book',
    expect.stringMatching(/^goes on although a vacuum or analyze is at public\.book: it was held for /),
  ]);
  expect(await holds()).toEqual([]);
});

test('what its role may not see holds nothing, and is said once', async () => {
  const health = await healthOf({
    source_sessions: { limit: 1, atMostMs: 60_000 },
    vacuum: { limit: 0, atMostMs: 60_000 },
  });
  await vacuum();
  await until('it is said', async () => {
    await health.look();
    return (await events()).some((message) => message.startsWith('the active sessions of the source'));
  });
  await other.query('rollback');
  await looks(health, 0);
  await vacuum();
  await looks(health, 1);
  expect((await events()).filter((message) => !/^held|^goes on/.test(message))).toEqual([
    'the active sessions of the source cannot be seen, and nothing is held for it: grant the role ' +
      'pg_read_all_stats, which pg_monitor includes',
  ]);
});

test('a full disk holds the run while attempts meet it, and fails it when nobody makes space', async () => {
  const health = await healthOf({ disk_full: { limit: 0, atMostMs: 60_000 } });
  const fail = (ago: string) =>
    ledger.pool.query(
      `with t as (
         insert into rowfleet.task (run_id, kind, relation, spec) values ($1, 'batch', 'public.book', '{}') returning id
       )
       insert into rowfleet.attempt (task_id, number, run_id, worker, backend_pid, backend_start, lease_until, ended_at, outcome, error)
       select id, 1, $1, 'w', 1, now(), now(), clock_timestamp() - $2::interval, 'failed',
              '{"code": "53100", "class": "wait", "side": "target", "message": "no space"}' from t`,
      [runId, ago],
    );
  await fail('1 second');
  expect(await looks(health, 1)).toMatchObject([
    { cause: 'disk_full', reason: 'the disk of the target is full, as attempts found in the last 15 s: 1' },
  ]);
  await fail('2 minutes');
  const failure = await until('the run fails', () =>
    health.look().then(
      () => undefined,
      (error: unknown) => error,
    ),
  );
  expect(failure).toMatchObject({
    code: 'TARGET_FULL',
    message: expect.stringMatching(
      /^the disk of the target is full, as attempts found in the last 15 s: 1, and 1 min of waiting did not change that$/,
    ),
    hint: expect.stringContaining('then resume'),
  });
  expect(await holds()).toEqual([]);
});
