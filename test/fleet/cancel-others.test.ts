import { afterEach, expect, test } from 'vitest';
import { claimTask } from '../../src/ledger/claim.ts';
import { readRun } from '../../src/ledger/runs.ts';
import { runScheduler } from '../../workers/scheduler.ts';
import { until } from '../fleet-processes.ts';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let into: TestDatabase;
let target: Target;
const leave = new AbortController();

afterEach(async () => {
  leave.abort();
  await target.close();
  await Promise.all([source.drop(), into.drop()]);
});

const shape = 'create table book (id int primary key, title text);';

test('a cancellation leaves other people’s rows, says what it waits for, and waits for no worker that has gone silent', async () => {
  [source, into] = await Promise.all([createDatabase(15), createDatabase(18)]);
  await source.exec(`${shape} insert into book select i, 'book ' || i from generate_series(1, 50) i`);
  await into.exec(`${shape} create table heir () inherits (book); insert into heir values (7, 'mine')`);
  await into.execAsSuperuser(
    'create table review (id int primary key, book_id int references book on delete cascade)',
  );
  target = await openTarget(into);
  const holder = await into.open();
  const runId = await target.start(source, 'name: p\ntables: [book]');
  const waitsFor = (reason: RegExp) =>
    until(
      `the run says that it waits for ${reason}`,
      async () => reason.test((await readRun(target.ledger.pool, runId)).waiting ?? ''),
      20,
    );
  const locked =
    /waiting for a lock, to read public\.book, held by rowfleet test \(pid \d+, idle in transaction/;

  await holder.query('begin; lock table public.book in access exclusive mode');
  const scheduler = runScheduler({ targetUrl: into.url, signal: leave.signal, concurrency: 2 });
  await waitsFor(locked);
  await holder.query('rollback');

  // A worker that writes, and then is heard of no more.
  const silent = await into.open();
  await until('it has claimed a batch', async () => {
    const { rows } = await into.query(
      `select id::text from rowfleet.task where kind = 'batch' and state = 'waiting'`,
    );
    return rows[0] !== undefined && (await claimTask(silent, 'silent', rows[0].id)).kind === 'claimed';
  });
  await silent.query(`begin; insert into public.book values (2, 'written')`);
  await into.exec(`insert into book values (1, 'copied');
    update rowfleet.attempt set lease_until = clock_timestamp() - interval '1 second'`);
  await into.execAsSuperuser('insert into review values (1, 1)');

  await target.cancel(runId);
  await waitsFor(
    /public\.book cannot be emptied: \w+ may not see which rows of public\.review refer to it, and foreign key review_book_id_fkey of public\.review \(ON DELETE CASCADE\) would change them too/,
  );
  await expect(silent.query('commit')).rejects.toThrow();
  await into.execAsSuperuser('grant select on review to public');
  await waitsFor(/rows of public\.review refer to it, and foreign key/);
  await holder.query('begin; lock table public.book in access exclusive mode');
  await waitsFor(locked);
  await holder.query('rollback');
  await into.execAsSuperuser('update review set book_id = null');
  await target.ended(runId, 'cancelled');
  const { rows } = await into.query(
    `select (select count(*)::int from only book) as book, (select count(*)::int from heir) as heir,
            (select count(*)::int from review) as review`,
  );
  expect(rows).toEqual([{ book: 0, heir: 1, review: 1 }]);
  leave.abort();
  await scheduler;
});
