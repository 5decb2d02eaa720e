import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ErrorPattern, readErrorPatterns } from '../../src/ledger/error-patterns.ts';
import { readHolds } from '../../src/ledger/holds.ts';
import { runScheduler } from '../../workers/scheduler.ts';
import { compareDatabases } from '../compare.ts';
import { TestFleet, until } from '../fleet-processes.ts';
import { openTarget, type Target, variableOf } from '../in-process-fleet.ts';
import { createDatabase, onServer, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let database: TestDatabase;
let target: Target;
let application: pg.Client;

beforeEach(async () => {
  [source, database] = await Promise.all([createDatabase(15), createDatabase(18)]);
  await source.execAsSuperuser(`
    create table book (id int, title text);
    insert into book select i, repeat('title ', 20) || i from generate_series(1, 4000) i;
    analyze book;
    grant select on book to public;
    -- Each row takes its time: a batch of half the rows takes half of it.
    create function slowly(text) returns text immutable language plpgsql as 'begin perform pg_sleep(0.0003); return $1; end'`);
  await database.exec(`
    -- Locks two rows, one after the other, as a foreign key or a trigger would.
    create function touch(int) returns boolean language plpgsql as
      'begin perform case when $1 in (1, 3000) then pg_advisory_xact_lock($1) end; return true; end';
    create table book (id int check (touch(id)), title text)`);
  target = await openTarget(database);
  application = new pg.Client(database.superuserUrl);
  await application.connect();
});

afterEach(async () => {
  await application.end();
  await target.close();
  await source.drop();
  await database.drop();
});

const rows = async (sql: string, runId: string) => (await target.ledger.pool.query(sql, [runId])).rows;
const batches = (runId: string) =>
  rows(
    `select state, failures, spec from rowfleet.task where run_id = $1 and kind = 'batch' order by id`,
    runId,
  );
const patterns = (runId: string) => readErrorPatterns(target.ledger.pool, runId);
const seen = (runId: string, code: string): Promise<ErrorPattern> =>
  until(`an attempt failed of ${code}`, async () => (await patterns(runId)).find((one) => one.code === code));

/** One batch holds every row at first. */
const plan = (timeout = '60s', title = 'b.title') => `
name: retry
migration: {batch_size: 4000, timeout_per_batch: ${timeout}}
flows: [{name: book, from: book b, to: book, columns: {id: b.id, title: ${title}}}]`;

const sessionWaitsForLock = () =>
  until('a batch waits for a lock', async () => {
    // The application is in a transaction, and would see what it saw first again and again.
    const { rowCount } = await target.ledger.pool.query(
      `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ilike 'copy%' and datname = current_database()`,
    );
    return rowCount === 1;
  });

test('a batch that takes too long is halved until its parts do not, and nothing of it counts', async () => {
  target.startFleet();
  const runId = await target.start(source, plan('1s', 'slowly(b.title)'));
  await target.ended(runId);
  await target.expectWhole(source);
  const done = await batches(runId);
  expect(done.length).toBeGreaterThan(1);
  expect(done.every(({ state, failures }) => state === 'done' && failures === 0)).toBe(true);
  expect(await patterns(runId)).toMatchObject([{ class: 'shrink', code: 'BATCH_TIMEOUT', side: null }]);
});

test('a batch that takes its loaders along again and again counts as failed, is halved, and says so', async () => {
  const leave = new AbortController();
  const scheduler = runScheduler({ targetUrl: database.url, signal: leave.signal });
  const runId = await target.start(source, plan());
  const task = await until('a batch is cut', async () => (await batches(runId))[0]);
  leave.abort();
  await scheduler;
  await target.ledger.pool.query(
    `with lost as (update rowfleet.task set attempt = 3 where run_id = $1 and kind = 'batch' returning id, run_id)
     insert into rowfleet.attempt (task_id, number, run_id, worker, backend_pid, backend_start, lease_until, ended_at, outcome)
     select id, n, run_id, 'gone', 0, now(), now(), now(), 'lost' from lost, generate_series(1, 3) n`,
    [runId],
  );
  target.startFleet();
  await target.ended(runId);
  await target.expectWhole(source);
  expect(task.failures).toBe(0);
  expect(await batches(runId)).toMatchObject([{ failures: 1 }, { failures: 1 }]);
  expect(await patterns(runId)).toMatchObject([
    {
      class: 'shrink',
      code: 'WORKER_LOST',
      message: expect.stringContaining('its last 3 attempts were lost'),
    },
  ]);
});

test('a batch that an application keeps from its table gets through when that lets go', async () => {
  await application.query('begin; lock table book in share row exclusive mode');
  target.startFleet();
  const runId = await target.start(source, plan('2s'));
  await seen(runId, 'BATCH_TIMEOUT');
  await until('the run says who holds the table', async () => {
    const [run] = await rows('select waiting from rowfleet.run where id = $1', runId);
    return /^public\.book is waiting \d+ s for a lock, held by .*\(pid \d+/.test(run?.waiting);
  });
  await application.query('rollback');
  await target.ended(runId);
  await target.expectWhole(source);
});

test('an index that an application keeps from being built says so, and is built when that lets go', async () => {
  await database.exec('alter table book add primary key (id)');
  target.startFleet();
  const runId = await target.start(source, plan());
  await until('the rows are in', async () => {
    const { rowCount } = await database.query(
      `select 1 from rowfleet.task where kind = 'batch' and state = 'running'`,
    );
    return rowCount === 1;
  });
  await application.query('begin; select count(*) from book');
  await until('the run says who holds the table', async () => {
    const [run] = await rows('select waiting from rowfleet.run where id = $1', runId);
    return /^public\.book is waiting \d+ s for a lock on public\.book, held by .*pid \d+/.test(run?.waiting);
  });
  await application.query('rollback');
  await target.ended(runId);
  expect(await compareDatabases(source, database)).toEqual([]);
});

test('a batch that loses a deadlock against an application is tried again, and that counts', async () => {
  // The batch is to find the deadlock first.
  await application.query(`set deadlock_timeout = '60s'; begin; select pg_advisory_xact_lock(3000)`);
  target.startFleet();
  const runId = await target.start(source, plan());
  await sessionWaitsForLock();
  await application.query('select pg_advisory_xact_lock(1)');
  await application.query('commit');
  await target.ended(runId);
  await target.expectWhole(source);
  expect(await patterns(runId)).toMatchObject([{ class: 'shrink', code: '40P01', side: 'target', count: 1 }]);
  expect((await batches(runId)).map(({ failures }) => failures)).toEqual([1, 1]);
});

test('a permission that is revoked in the middle fails the run at once, and it goes on when it is back', async () => {
  await application.query('begin; lock table book in share row exclusive mode');
  target.startFleet();
  const runId = await target.start(source, plan());
  await sessionWaitsForLock();
  await source.execAsSuperuser('revoke select on book from public');
  await application.query('rollback');
  const { error } = await target.ended(runId, 'failed');
  expect(error).toMatchObject({
    code: '42501',
    class: 'give up',
    message: expect.stringMatching(
      /^batch \d+ of book → public\.book \(public\.book from block 0 to its end\): permission denied for table book \(SQLSTATE 42501\)$/,
    ),
    hint: 'grant the privilege that is missing on the source, then resume',
  });
  expect(await patterns(runId)).toMatchObject([
    { class: 'give up', code: '42501', side: 'source', count: 1 },
  ]);
  await source.execAsSuperuser('grant select on book to public');
  await target.resume(runId);
  await target.ended(runId);
  await target.expectWhole(source);
});

test('a source without connections holds the run, and a probe lets it go on', async () => {
  const runId = await target.start(source, plan());
  await source.close();
  await onServer(15, `alter database ${source.name} connection limit 1`); // for the keeper of the snapshot
  target.startFleet();
  const hold = await until('the run is held', async () => (await readHolds(target.ledger.pool, runId))[0]);
  expect(hold).toMatchObject({ kind: 'breaker', cause: 'source', flow: null });
  expect(hold.reason).toMatch(
    /^source \S+ does not answer: 5 attempts failed in \d+ s, the last one of: cannot connect to \S+: the server has no connection left; probing every 5 s$/,
  );
  expect((await batches(runId)).every(({ state, failures }) => state === 'waiting' && failures === 0)).toBe(
    true,
  );
  await onServer(15, `alter database ${source.name} connection limit -1`);
  await target.ended(runId);
  await target.expectWhole(source);
  expect(await patterns(runId)).toMatchObject([{ class: 'wait', code: '53300', side: 'source' }]);
  const events = await rows('select message from rowfleet.event where run_id = $1 order by id', runId);
  expect(events.map(({ message }) => message).join('\n')).toMatch(/held: source .*\n(.*\n)*goes on: source/);
});

test('a snapshot that loaders cannot import is trouble that people see', async () => {
  target.startFleet();
  const runId = await target.start(source, plan().replace('batch_size: 4000', 'batch_size: 100'));
  await until('a snapshot is kept', async () => {
    const { rowCount } = await target.ledger.pool.query(
      `update rowfleet.epoch set snapshot = '00000000-00000000-1' where run_id = $1`,
      [runId],
    );
    return rowCount === 1;
  });
  const { class: kind, message } = await seen(runId, 'SNAPSHOT_GONE');
  expect(kind).toBe('wait');
  expect(message).toMatch(/^the source snapshot is gone: /);
});

test('loaders that cannot even claim say why', async () => {
  target.startFleet();
  const runId = await target.start(source, plan());
  await until('the ledger is there', async () => {
    const { rowCount } = await target.ledger.pool.query('select 1 from rowfleet.run');
    return rowCount === 1;
  });
  await database.exec(`
    create function no_room() returns trigger language plpgsql as
      'begin raise exception ''no space'' using errcode = ''53100''; end';
    create trigger no_room before insert on rowfleet.attempt for each row execute function no_room()`);
  await until('the run says so', async () => {
    const [run] = await rows('select waiting from rowfleet.run where id = $1', runId);
    return /no loader can take up work; loader .* pid \d+: .*53100/.test(run?.waiting ?? '');
  });
  await database.exec('drop trigger no_room on rowfleet.attempt');
  await target.ended(runId);
});

test('what is wrong with the surroundings of a process is its own trouble: the run waits for others, and goes on with them', async () => {
  const runId = await target.start(source, plan().replace('batch_size: 4000', 'batch_size: 500'));
  const [variable, url] = [variableOf(source), new URL(source.url)];
  const elsewhere = (change: (url: URL) => void): string => {
    const other = new URL(url);
    change(other);
    return other.href;
  };
  const wrong = [
    '',
    elsewhere((other) => {
      other.username = 'nobody_here';
    }),
    elsewhere((other) => {
      other.port = '1';
    }),
    elsewhere((other) => {
      other.pathname = '/postgres';
    }),
  ];
  const fleet = new TestFleet({ source, target: database });
  try {
    fleet.start('scheduler');
    const loaders = wrong.map((value) => fleet.start('loader', { env: { [variable]: value } }));
    const worker = async ({ child }: (typeof loaders)[number]) =>
      (await rows(`select away ->> $1 as why from rowfleet.worker where pid = ${child.pid}`, runId))[0]?.why;
    const why = await until('each says what is wrong', async () => {
      const all = await Promise.all(loaders.map(worker));
      return all.every((one) => typeof one === 'string') && all;
    });
    expect(why).toEqual([
      `cannot tell the source: the plan refers to \${${variable}}, which is not in the environment`,
      expect.stringMatching(/^cannot connect to /),
      expect.stringMatching(
        /^cannot connect to \S+:1\/\S+: nothing listens there; the scheduler has the source at \S+$/,
      ),
      expect.stringMatching(/is another database than the one the plan was checked against$/),
    ]);
    await until('the run says that it waits for a loader', async () => {
      const [run] = await rows('select waiting from rowfleet.run where id = $1', runId);
      return /^no loader can take up work; loader \S+ pid \d+: cannot /.test(run?.waiting ?? '');
    });
    target.startFleet();
    await target.ended(runId);
    expect(await patterns(runId)).toEqual([]);
    const events = await rows('select actor, message from rowfleet.event where run_id = $1', runId);
    const told = events.filter(({ message }) => message.startsWith('takes no tasks: '));
    expect(told.map(({ message }) => message.slice('takes no tasks: '.length)).sort()).toEqual(why.sort());
    expect(new Set(told.map(({ actor }) => actor)).size).toBe(wrong.length);
    await target.expectWhole(source);
  } finally {
    await fleet.killAll();
  }
});
