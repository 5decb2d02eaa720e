import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cancelFlow } from '../../src/control/cancel-flow.ts';
import { liftPause, pauseRun, resumeFlow } from '../../src/control/pause.ts';
import { changeSettings, parseSettings } from '../../src/control/settings.ts';
import { readRun } from '../../src/ledger/runs.ts';
import { readProgress } from '../../src/progress/snapshot.ts';
import { until } from '../fleet-processes.ts';
import { openTarget, startInProcessFleet, type Target } from '../in-process-fleet.ts';
import { createDatabase, onServer, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let database: TestDatabase;
let target: Target;
/** Holds the gate: while it is shut, no batch comes to its end. A start of a run counts through it. */
let gate: pg.Client;

const shape = `
  create table book (id int primary key, title text);
  create table author (id int primary key, name text, book_id int constraint author_book references book);
  create table award (id int primary key, author_id int constraint award_author references author);`;

beforeEach(async () => {
  [source, database] = await Promise.all([createDatabase(15), createDatabase(18)]);
  await source.exec(`${shape}
    insert into book select i, repeat('title ', 20) || i from generate_series(1, 3000) i;
    insert into author select i, repeat('name ', 10) || i, i from generate_series(1, 1000) i;
    insert into award select i, i from generate_series(1, 100) i;
    analyze;
    create function pass(anyelement) returns anyelement language plpgsql stable as
      'begin perform pg_advisory_xact_lock_shared(7); return $1; end'`);
  await database.exec(shape);
  target = await openTarget(database);
  gate = new pg.Client(source.url);
  await gate.connect();
});

afterEach(async () => {
  await gate.end();
  await target.close();
  await source.drop();
  await database.drop();
});

const shut = () => gate.query('select pg_advisory_lock(7)');
const open = () => gate.query('select pg_advisory_unlock(7)');

const plan = (settings = '') => `
name: steered
migration: {batch_size: 200${settings}}
flows:
  - {name: book, from: book b, to: book, columns: {id: pass(b.id), title: b.title}}
  - {name: author, from: author a, to: author, columns: {id: pass(a.id), name: a.name, book_id: a.book_id}}
tables: [award]`;

const runOf = (runId: string) => readRun(target.ledger.pool, runId);

/** How many batches of a run, or of one of its flows, are in each state. */
async function batches(runId: string, flow?: string): Promise<Record<string, number>> {
  const { rows } = await target.ledger.pool.query(
    `select state, count(*)::int as n from rowfleet.task
      where run_id = $1 and kind = 'batch' and ($2::text is null or flow = $2) group by state`,
    [runId, flow ?? null],
  );
  return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
}

const begun = (runId: string, n = 2) =>
  until(`${n} batches are under way`, async () => (await batches(runId)).running === n);

const events = async (runId: string): Promise<string[]> =>
  (
    await target.ledger.pool.query('select message from rowfleet.event where run_id = $1 order by id', [
      runId,
    ])
  ).rows.map(({ message }) => message);

test('a paused run comes to rest, says who paused it and why, and goes on when it is resumed', async () => {
  const runId = await target.start(source, plan());
  await shut();
  target.startFleet();
  await begun(runId);
  const run = await runOf(runId);
  const request = { reason: 'backup', actor: 'ops@db1' };
  expect(await pauseRun(target.ledger, run, request)).toBeNull();
  expect(await pauseRun(target.ledger, run, { actor: 'else' })).toMatchObject({ cause: 'ops@db1' });
  await open();
  await until('what was under way has come to its end', async () => !(await batches(runId)).running);
  expect(await batches(runId)).toMatchObject({ done: 2, waiting: expect.any(Number) });
  const held = await until('the scheduler says so', async () => {
    const progress = await readProgress(target.ledger, runId);
    return progress.run.waiting !== null && progress;
  });
  expect(held).toMatchObject({
    run: { state: 'running', waiting: 'paused by ops@db1: backup' },
    holds: [{ flow: null, kind: 'pause', reason: 'paused by ops@db1: backup', since: expect.any(Date) }],
  });
  expect(await liftPause(target.ledger, run, 'ops@db1')).toBe(true);
  expect(await liftPause(target.ledger, run, 'ops@db1')).toBe(false);
  await target.ended(runId);
  await target.expectWhole(source);
  expect(await events(runId)).toEqual(expect.arrayContaining(['paused: backup', 'lifted the pause']));
});

test('a paused flow waits while the others go on; resuming a run that was stopped meanwhile lifts it', async () => {
  const runId = await target.start(source, plan());
  const run = await runOf(runId);
  await expect(pauseRun(target.ledger, run, { flow: 'bok', actor: 'test' })).rejects.toMatchObject({
    code: 'FLOW_UNKNOWN',
    hint: 'did you mean book?',
  });
  await pauseRun(target.ledger, run, { flow: 'book', actor: 'test' });
  target.startFleet();
  await until('every other row is in', async () => {
    const { flows } = await readProgress(target.ledger, runId);
    return flows.find(({ name }) => name === 'author')?.state === 'done';
  });
  expect(await batches(runId, 'book')).toEqual({});
  await target.stop(runId);
  const stopped = await runOf(runId);
  await expect(pauseRun(target.ledger, stopped, { actor: 'test' })).rejects.toMatchObject({
    code: 'RUN_STATE',
    message: `run ${runId} is stopped and cannot be paused`,
  });
  await target.resume(runId);
  await target.ended(runId);
  await target.expectWhole(source);
});

test('a cancelled flow stops where it is, the others are proven without it, and it can be taken up again', async () => {
  const runId = await target.start(source, plan());
  await shut();
  target.startFleet();
  await begun(runId);
  expect(await cancelFlow(target.ledger, await runOf(runId), 'book', 'test')).toBe(true);
  expect(await cancelFlow(target.ledger, await runOf(runId), 'book', 'test')).toBe(false);
  await expect(
    pauseRun(target.ledger, await runOf(runId), { flow: 'book', actor: 'test' }),
  ).rejects.toMatchObject({ code: 'FLOW_CANCELLED' });
  await until('its batches have ended', async () => {
    const { running = 0, waiting = 0 } = await batches(runId, 'book');
    return running + waiting === 0;
  });
  await open();
  await target.ended(runId, 'findings');
  expect(await batches(runId, 'book')).toEqual({ cancelled: 4 });
  expect(await target.findings(runId)).toMatchObject([
    {
      check: 'cancelled',
      relation: 'public.book',
      summary: 'flow book was cancelled with 3000 of 3000 rows not copied',
    },
  ]);
  const { flows } = await readProgress(target.ledger, runId);
  expect(flows.map(({ name, state }) => [name, state])).toEqual([
    ['award', 'done'],
    ['book', 'cancelled'],
    ['author', 'done'],
  ]);
  const { rows } = await database.query(
    `select conname as name from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace`,
  );
  expect(rows).toEqual([{ name: 'award_author' }]);
  await expect(cancelFlow(target.ledger, await runOf(runId), 'author', 'test')).rejects.toMatchObject({
    code: 'RUN_STATE',
  });

  const what = await resumeFlow(target.ledger, await runOf(runId), { flow: 'book', actor: 'test' });
  expect(what).toBe('took flow book up again');
  await target.resume(runId);
  await target.ended(runId);
  await target.expectWhole(source);
  expect((await events(runId)).filter((message) => /stays down|book/.test(message))).toEqual([
    'cancelled flow book',
    'foreign key author_book on public.author stays down: rows are missing, since a flow was cancelled',
    'took flow book up again',
  ]);
});

test('what is set holds from the next batches on: one at once, and of the size that is aimed at', async () => {
  const runId = await target.start(source, plan(', batch_seconds: 1'));
  await shut();
  target.startFleet();
  await begun(runId);
  const changes = parseSettings(['concurrency=1', 'max_mb=1']);
  const settings = await changeSettings(target.ledger, await runOf(runId), changes, 'test');
  expect(settings).toEqual({
    concurrency: { value: 1, origin: 'set' },
    batchSeconds: { value: 1, origin: 'plan' },
    maxBatchMb: { value: 1, origin: 'set' },
  });
  await expect(
    changeSettings(target.ledger, await runOf(runId), parseSettings(['batch_seconds=16']), 'test'),
  ).rejects.toMatchObject({ code: 'SETTING_INVALID', message: expect.stringContaining('which is 30 s') });
  const { rows: before } = await target.ledger.pool.query(
    'select max(started_at) as at from rowfleet.attempt',
  );
  await open();
  await target.ended(runId);
  await target.expectWhole(source);
  const { rows } = await target.ledger.pool.query(
    `with a as (
       select a.* from rowfleet.attempt a join rowfleet.task t on t.id = a.task_id and t.kind = 'batch'
        where a.run_id = $1 and a.started_at > $2
     )
     select (select count(*)::int from a) as n, (
       select count(*)::int from a join a b on a.task_id < b.task_id
          and tstzrange(a.started_at, a.ended_at) && tstzrange(b.started_at, b.ended_at)
     ) as together`,
    [runId, before[0].at],
  );
  expect(rows[0].n).toBeGreaterThan(3);
  expect(rows[0].together).toBe(0);
  expect(await events(runId)).toContain('set concurrency=1 max_mb=1');
});

test('a loader does half as many at once when a server has no connections left, and gets everything done', async () => {
  const runId = await target.start(source, plan());
  await shut();
  await source.close();
  // For the gate, the keeper of the snapshot, and two batches.
  await onServer(15, `alter database ${source.name} connection limit 4`);
  const fleet = startInProcessFleet(database, { concurrency: 4 });
  const slots = async () =>
    (await target.ledger.pool.query(`select concurrency from rowfleet.worker where kind = 'loader'`)).rows[0]
      ?.concurrency;
  await until('it does half as many', async () => (await slots()) === 2);
  await begun(runId);
  await onServer(15, `alter database ${source.name} connection limit -1`);
  await open();
  await target.ended(runId);
  await fleet.stop();
  await target.expectWhole(source);
});

test('a server that is not well holds the run, which says so and goes on when it is', async () => {
  const runId = await target.start(source, plan(', throttle: {vacuum: {limit: 0}}'));
  await shut();
  target.startFleet();
  await begun(runId);
  const other = new pg.Client(database.url);
  await other.connect();
  await other.query('begin; lock table book in share update exclusive mode');
  await until('it is held', async () => (await readProgress(target.ledger, runId)).holds.length === 1);
  await open();
  await until('what was under way has come to its end', async () => !(await batches(runId)).running);
  const { run, holds } = await readProgress(target.ledger, runId);
  expect(run).toMatchObject({ state: 'running', waiting: 'a vacuum or analyze is at public.book' });
  expect(holds).toMatchObject([{ kind: 'throttle', cause: 'vacuum', reason: run.waiting }]);
  expect(await batches(runId)).toMatchObject({ waiting: expect.any(Number) });
  await other.end();
  await target.ended(runId);
  await target.expectWhole(source);
});
