import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { liftPause, pauseRun } from '../../src/control/pause.ts';
import { readRun } from '../../src/ledger/runs.ts';
import { readProgress } from '../../src/progress/snapshot.ts';
import { until } from '../fleet-processes.ts';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let database: TestDatabase;
let target: Target;
/** Holds the gate: while it is shut, no batch comes to its end. */
let gate: pg.Client;

const shape = `
  create table book (id int primary key, title text);
  create table author (id int primary key, name text);`;

beforeEach(async () => {
  [source, database] = await Promise.all([createDatabase(15), createDatabase(18)]);
  await source.exec(`${shape}
    insert into book select i, repeat('title ', 20) || i from generate_series(1, 3000) i;
    insert into author select i, repeat('name ', 10) || i from generate_series(1, 1000) i;
    analyze;
    create function pass(anyelement) returns anyelement language plpgsql as
      'begin perform pg_advisory_xact_lock_shared(7); return $1; end'`);
  await database.exec(shape);
  target = await openTarget(database);
  gate = new pg.Client(source.url);
  await gate.connect();
  await gate.query('select pg_advisory_lock(7)');
});

afterEach(async () => {
  await gate.end();
  await target.close();
  await source.drop();
  await database.drop();
});

const open = () => gate.query('select pg_advisory_unlock(7)');

const plan = (settings = '') => `
name: steered
migration: {batch_size: 200${settings}}
flows:
  - {name: book, from: book b, to: book, columns: {id: pass(b.id), title: b.title}}
  - {name: author, from: author a, to: author, columns: {id: pass(a.id), name: a.name}}`;

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
  target.startFleet();
  const runId = await target.start(source, plan());
  await begun(runId);
  const run = await readRun(target.ledger.pool, runId);
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
  expect(await liftPause(target.ledger, run, { actor: 'ops@db1' })).toBe(true);
  expect(await liftPause(target.ledger, run, { actor: 'ops@db1' })).toBe(false);
  await target.ended(runId);
  await target.expectWhole(source);
  expect(await events(runId)).toEqual(expect.arrayContaining(['paused: backup', 'lifted the pause']));
});

test('a paused flow waits while the others go on; resuming a run that was stopped meanwhile lifts it', async () => {
  const runId = await target.start(source, plan());
  const run = await readRun(target.ledger.pool, runId);
  await expect(pauseRun(target.ledger, run, { flow: 'bok', actor: 'test' })).rejects.toMatchObject({
    code: 'FLOW_UNKNOWN',
    hint: 'did you mean book?',
  });
  await pauseRun(target.ledger, run, { flow: 'book', actor: 'test' });
  await open();
  target.startFleet();
  await until('every other row is in', async () => {
    const { flows } = await readProgress(target.ledger, runId);
    return flows.find(({ name }) => name === 'author')?.state === 'done';
  });
  expect(await batches(runId, 'book')).toEqual({});
  await target.stop(runId);
  const stopped = await readRun(target.ledger.pool, runId);
  await expect(pauseRun(target.ledger, stopped, { actor: 'test' })).rejects.toMatchObject({
    code: 'RUN_STATE',
    message: `run ${runId} is stopped and cannot be paused`,
  });
  await target.resume(runId);
  await target.ended(runId);
  await target.expectWhole(source);
});
