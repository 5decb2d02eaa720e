import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pauseRun, resumeFlow } from '../../src/control/pause.ts';
import { reload } from '../../src/control/reload.ts';
import { readRun } from '../../src/ledger/runs.ts';
import { readProgress } from '../../src/progress/snapshot.ts';
import { until } from '../fleet-processes.ts';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { brief, resolveBody } from '../plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

// Rows that are updated where they stand, while an application goes on with them.

let database: TestDatabase;
let target: Target;

beforeEach(async () => {
  database = await createDatabase(18);
  await database.exec(`
    create table kind (id int primary key, name text not null);
    insert into kind select i, 'k' || i from generate_series(1, 9) i;
    create table item (id int primary key, kind_id int references kind, title text, label text, n int not null default 0,
      done boolean not null default false);
    insert into item select i, 1, 't' || i from generate_series(1, 8000) i; analyze item`);
  target = await openTarget(database);
});

afterEach(async () => {
  await target.close();
  await database.drop();
});

const labels = `
name: labels
migration: {batch_size: 500, max_retries: 1}
flows:
  - name: item
    from: item i
    join: left join kind k on k.id = i.kind_id
    to: item
    columns: {label: "coalesce(k.name || ': ', '') || i.title"}`;

/** Waits until a batch waits for a row that is locked. */
const batchWaits = () =>
  until('a batch waits for a row', async () => {
    const { rowCount } = await database.query(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%for no key update%'`,
    );
    return rowCount === 1;
  });

/** Rows that have their label. */
async function labelled(): Promise<number> {
  const { rows } = await database.query<{ n: number }>('select count(label)::int as n from item');
  return rows[0]!.n;
}

test('a row that the application changes under a batch is computed with all that it meets then', async () => {
  const app = await database.open();
  await app.query(`begin; update public.item set kind_id = 7, title = 'new' where id = 4`);
  await app.query(`update public.item set label = 'k1: t5' where id = 5`);
  await database.exec(`update item set label = 'k1: t6' where id = 6`);
  await app.query(`update public.item set label = 'other' where id = 6`);
  const runId = await target.start(database, labels);
  target.startFleet();
  await batchWaits();
  await app.query(`insert into public.item values (0, 2, 'born')`);
  await app.query('delete from public.item where id = 8');
  await app.query('commit');
  await target.ended(runId);
  const { rows } = await database.query('select label from item where id < 9 order by id');
  expect(rows.map(({ label }) => label)).toEqual([
    'k2: born',
    'k1: t1',
    'k1: t2',
    'k1: t3',
    'k7: new',
    'k1: t5',
    'k1: t6',
    'k1: t7',
  ]);
});

test('a row for which the join comes to give several values stays as it is, and is told by its key', async () => {
  await database.exec(`
    create table word (kind_id int, word text);
    insert into word select id, name from kind;
    update item set kind_id = 2 where id = 4`);
  const runId = await target.start(
    database,
    `
name: words
migration: {batch_size: 500}
flows:
  - {name: item, from: item i, join: left join word w on w.kind_id = i.kind_id, to: item, columns: {label: w.word}}`,
  );
  await database.exec(`insert into word values (2, 'another')`);
  target.startFleet();
  await target.ended(runId, 'quarantined');
  const { rows: refused } = await target.ledger.pool.query(
    `select convert_from(source_key, 'UTF8')::json as key, code, state from rowfleet.quarantine where run_id = $1`,
    [runId],
  );
  expect(refused).toEqual([{ key: { id: '4' }, code: 'JOIN_MULTIPLIES', state: 'held' }]);
  const { rows } = await database.query(
    'select label, count(*)::int as n from item group by label order by n',
  );
  expect(rows).toEqual([
    { label: null, n: 1 },
    { label: 'k1', n: 7999 },
  ]);
});

test('a plan that takes other rows is revised under a run: what was filled stays, and all that it takes now is filled', async () => {
  // The other flow waits, so that there is more to fill.
  await database.exec(`create table tag (id int primary key, name text); insert into tag values (1, 'one')`);
  const body = `${labels}\n  - {name: tag, from: tag t, to: tag, columns: {name: upper(t.name)}}`;
  const runId = await target.start(database, body);
  const flow = { flow: 'tag', actor: 'test' };
  await pauseRun(target.ledger, await readRun(target.ledger.pool, runId), flow);
  target.startFleet();
  await until('all is labelled', async () => (await labelled()) === 8000);
  const fewer = body.replace('i.title"}', `i.title || '!'"}\n    where: i.id > 5000`);
  const { consequences } = await target.revise(database, runId, fewer);
  expect(consequences).toMatchObject([{ flow: 'item', kind: 'restart' }]);
  await resumeFlow(target.ledger, await readRun(target.ledger.pool, runId), flow);
  await target.ended(runId);
  const { rows } = await database.query(
    `select label like '%!' as again, count(*)::int as n from item group by again order by n`,
  );
  expect(rows).toEqual([
    { again: true, n: 3000 },
    { again: false, n: 5000 },
  ]);
});

test('cancel ends a batch that waits for a row; what was updated stays, and the next run does the rest', async () => {
  const app = await database.open();
  await app.query(`begin; update public.item set title = 'held' where id = 7999`);
  const runId = await target.start(database, labels);
  target.startFleet();
  await batchWaits();
  await until('other batches are done', async () => (await labelled()) > 0);
  await target.cancel(runId);
  await target.ended(runId, 'cancelled');
  expect(await labelled()).toBeGreaterThan(0);
  expect(await labelled()).toBeLessThan(8000);
  await app.query('commit');
  await target.ended(await target.start(database, labels));
  expect(await labelled()).toBe(8000);
});

test('nobody fills a table whose rows a run updates, or updates one that a run fills; two may update it', async () => {
  const filling = `
name: filling
allow_non_empty: true
flows:
  - {name: item, from: kind k, to: item, columns: {id: "k.id + 10000"}}`;
  const overlaps = (what: string, runId: string, name: string) => ({
    code: 'RUN_OVERLAPS',
    message: `run ${runId} of plan "${name}" is unfinished and ${what} public.item too`,
  });
  const updates = await target.start(database, labels);
  await expect(target.start(database, filling)).rejects.toMatchObject(overlaps('updates', updates, 'labels'));
  const also = await target.start(database, fill('n: "5"'));
  target.startFleet();
  for (const runId of [updates, also]) await target.ended(runId);
  await target.stopFleets();
  const fills = await target.start(database, filling);
  await expect(target.start(database, labels)).rejects.toMatchObject(overlaps('fills', fills, 'filling'));
});

test('a deadlock with the application gives up the batch, which is tried again', async () => {
  const app = await database.open();
  await app.query('begin; update public.item set done = true where id = 400');
  const runId = await target.start(database, labels);
  target.startFleet();
  await batchWaits();
  // The server looks for deadlocks after a second of waiting, and gives up who finds one: the batch, which began earlier.
  await sleep(300);
  await app.query('update public.item set done = true where id = 1');
  await app.query('commit');
  await target.ended(runId);
  expect(await labelled()).toBe(8000);
  const { rows } = await target.ledger.pool.query(
    `select a.error ->> 'code' as code from rowfleet.attempt a join rowfleet.task t on t.id = a.task_id
      where t.run_id = $1 and a.error is not null`,
    [runId],
  );
  expect(rows).toEqual([{ code: '40P01' }]);
});

test('a server that is not well holds the run, while the application goes on', async () => {
  const vacuum = new pg.Client(database.url); // A session that says nothing of rowfleet.
  await vacuum.connect();
  await vacuum.query('begin; lock table public.item in share update exclusive mode');
  const runId = await target.start(
    database,
    labels.replace('max_retries: 1', '$&, throttle: {vacuum: {limit: 0}}'),
  );
  target.startFleet();
  await until('it is held', async () => (await readProgress(target.ledger, runId)).holds.length === 1);
  const { run } = await readProgress(target.ledger, runId);
  expect(run).toMatchObject({ state: 'running', waiting: 'a vacuum or analyze is at public.item' });
  expect(await labelled()).toBeLessThan(8000);
  await database.exec('update item set done = true where id > 7000');
  await vacuum.end();
  await target.ended(runId);
  const { rows } = await database.query(
    'select done, count(label)::int as n from item group by done order by n',
  );
  expect(rows).toEqual([
    { done: true, n: 1000 },
    { done: false, n: 7000 },
  ]);
});

const fill = (columns: string, more = '') => `
name: fill
migration: {batch_size: 500, max_retries: 1}
flows:
  - {name: item, from: item i, to: item, columns: {${columns}}${more}}`;

const said = async (body: string) => (await resolveBody(database, database, body)).problems.map(brief);

test('what a second update would change again is refused, unless the rows say that they are done', async () => {
  const twice = ': a second update, as by a reload, would change 8,000 of 8,000 rows again';
  for (const [columns, name] of [
    ['n: i.n + 1', 'n'],
    ['label: "coalesce(i.label, i.title) || i.id"', 'label'],
    ['label: to_jsonb(i)::text', 'label'],
  ])
    expect(await said(fill(columns!))).toEqual([
      expect.stringContaining(`columns.${name} error: ${name} is made of what the flow fills${twice} |`),
    ]);
  expect(await said(fill('label: "upper(coalesce(i.label, i.title))", n: "greatest(i.n, 3)"'))).toEqual([]);
  const marked = fill('n: i.n + 1, done: "true"', ', where: not i.done');
  expect(await said(marked)).toEqual([]);
  const runId = await target.start(database, marked);
  target.startFleet();
  await target.ended(runId);
  await reload(target.ledger, runId, { scope: 'whole', deleteVanished: true, actor: 'test' });
  await target.ended(runId);
  const { rows } = await database.query('select n, done, count(*)::int from item group by 1, 2');
  expect(rows).toEqual([{ n: 1, done: true, count: 8000 }]);
});

test('who may not update the rows is told so before the run; who may need not own the table', async () => {
  await database.execAsSuperuser('alter table item owner to postgres; grant select on item to public');
  expect(await said(fill('label: i.title'))).toEqual([
    expect.stringMatching(
      /\.to error: .* permission denied for table item \| grant select, update on "public"\."item" to app/,
    ),
  ]);
  await database.execAsSuperuser('grant update on item to public');
  expect(await said(fill('label: i.title'))).toEqual([]);
});

test('values are compared by their bytes, whatever the collations of their columns', async () => {
  await database.execAsSuperuser(`
    create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create table word (id int primary key, said text collate "POSIX", held text collate loose);
    insert into word values (1, 'Wort', 'WORT'), (2, 'x', null); grant all on word to public`);
  const runId = await target.start(
    database,
    'name: words\nflows:\n  - {name: word, from: word w, to: word, columns: {held: w.said}}',
  );
  target.startFleet();
  await target.ended(runId);
  expect((await database.query('select held from word order by id')).rows.map(({ held }) => held)).toEqual([
    'Wort',
    'x',
  ]);
});
