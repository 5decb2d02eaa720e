import { afterEach, beforeEach, expect, test } from 'vitest';
import { sendRefused } from '../../src/control/quarantine.ts';
import { type ReloadScope, reload, withdraw } from '../../src/control/reload.ts';
import { requeue } from '../../src/control/requeue.ts';
import { type ClaimedTask, claimTask } from '../../src/ledger/claim.ts';
import { failTask } from '../../src/ledger/fail-task.ts';
import { lockClaim } from '../../src/ledger/fence.ts';
import { lockReload } from '../../src/ledger/reload.ts';
import { sealFrom } from '../../src/ledger/seal.ts';
import type { BatchSpec } from '../../src/ledger/tasks.ts';
import { compareDatabases } from '../compare.ts';
import { siteEnvironment, spawnCli, until } from '../fleet-processes.ts';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let into: TestDatabase;
let target: Target;

beforeEach(async () => {
  [source, into] = await Promise.all([createDatabase(15), createDatabase(18)]);
});

afterEach(async () => {
  await target.close();
  await Promise.all([source.drop(), into.drop()]);
});

const shape = `
  create table author (id int primary key, name text);
  create table book (id int primary key, author_id int constraint book_author references author, title text);
  create index book_title on book (title);`;
const rows = `
  insert into author select i, 'author ' || i from generate_series(1, 50) i;
  insert into book select i, 1 + i % 50, 'book ' || i from generate_series(1, 4000) i;`;
const plan =
  'name: again\nmigration: {batch_size: 500, max_retries: 0, quarantine_limit: {rows: 0}}\ntables: [author, book]';

async function migrate(sourceSql: string, targetSql: string, body = plan): Promise<string> {
  await source.exec(sourceSql);
  await into.exec(targetSql);
  target = await openTarget(into);
  target.startFleet();
  return target.start(source, body);
}

const again = (runId: string, scope: ReloadScope, more: { flow?: string; deleteVanished?: boolean } = {}) =>
  reload(target.ledger, runId, { scope, actor: 'test', ...more });

const batchesOf = async (flow: string): Promise<string[]> =>
  (
    await into.query(`select id::text from rowfleet.task where kind = 'batch' and flow = $1 order by id`, [
      flow,
    ])
  ).rows.map(({ id }) => id);

const copiedBatchesOf = async (flow: string): Promise<string[]> =>
  (
    await into.query(
      `select id::text from rowfleet.task where kind = 'batch' and flow = $1 and not spec ? 'scope' order by id`,
      [flow],
    )
  ).rows.map(({ id }) => id);

const evidence = async (id: string) =>
  (await into.query('select evidence from rowfleet.task where id = $1', [id])).rows[0]!.evidence;

const found = async (sql: string, params: unknown[] = []): Promise<boolean> =>
  (await into.query(sql, params)).rowCount !== 0;

const counted = async () =>
  (
    await into.query(
      `select flow, sum(rows_in)::int as "in", sum(rows_out)::int as "out" from rowfleet.task where kind = 'batch' group by flow order by flow`,
    )
  ).rows;

test('what failed is tried again once its cause is mended, and the run goes on', async () => {
  const runId = await migrate(
    `${shape}${rows} update book set title = null where id in (1, 4000)`,
    shape.replace('title text', 'title text constraint titled check (title is not null)'),
  );
  await target.ended(runId, 'failed');
  const { rows: failed } = await into.query(
    `select id::text from rowfleet.task where state = 'failed' order by id`,
  );
  const ask = (tasks?: string[], flow?: string) =>
    requeue(target.ledger, runId, { actor: 'test', ...(tasks && { tasks }), ...(flow && { flow }) });
  const [done] = await batchesOf('author');
  await expect(ask([done!])).rejects.toMatchObject({
    code: 'TASK_DONE',
    hint: expect.stringContaining('--reload'),
  });
  await expect(ask(['999999'])).rejects.toMatchObject({ code: 'TASK_UNKNOWN' });
  await expect(ask(undefined, 'author')).rejects.toMatchObject({ code: 'NOTHING_FAILED' });
  await expect(ask(undefined, 'bok')).rejects.toMatchObject({
    code: 'FLOW_UNKNOWN',
    hint: 'did you mean book?',
  });

  await into.exec('alter table book drop constraint titled');
  const cli = spawnCli(
    ['requeue', '--run', runId, '--failed', '--json'],
    siteEnvironment({ source, target: into }),
  );
  expect([await cli.exited, JSON.parse(cli.output())]).toEqual([
    0,
    { type: 'requeued', run: runId, tasks: failed.map(({ id }) => id) },
  ]);
  await target.ended(runId);
  const { rows: events } = await into.query(
    `select actor, message from rowfleet.event where message ~ 'requeued'`,
  );
  expect(events).toEqual([
    { actor: expect.stringContaining('@'), message: `requeued all ${failed.length} that failed` },
  ]);
  await expect(ask()).rejects.toMatchObject({ code: 'RUN_STATE' });
});

test('a verified run is loaded again, by range and as a whole, under its constraints, and proven again', async () => {
  const triggered = `${shape}
    create function spoil() returns trigger language plpgsql as 'begin new.title := tg_name; return new; end';
    create trigger spoil before insert or update on book for each row execute function spoil();`;
  const runId = await migrate(shape + rows, triggered);
  await target.ended(runId);

  await source.exec(`
    update book set title = 'changed' where id in (10, 3000); delete from book where id in (20, 3001);
    insert into author values (51, 'late'); insert into book values (4001, 51, 'late'), (0, 51, 'late')`);
  await expect(again(runId, 'whole', { flow: 'book' })).rejects.toMatchObject({ code: 'RELOAD_DELETES' });
  await expect(again(runId, 'whole')).rejects.toMatchObject({ code: 'FLOW_MISSING' });

  // Book 0 belongs to an author who is not there yet: the key stands, and refuses it.
  const low = { flow: 'book', deleteVanished: true };
  for (const [from, to] of [
    ['89', '88'],
    ['9', '9'],
    ['100', '9'],
    ['9', 'x'],
  ] as const)
    await expect(again(runId, { range: { from, to } }, low)).rejects.toMatchObject({ code: 'RANGE_INVALID' });
  await again(runId, { range: { from: '0', to: '1000' } }, low);
  expect((await target.ended(runId, 'failed')).error).toMatchObject({
    code: '23503',
    class: 'row',
    message: expect.stringMatching(
      /^batch \d+ of book → public\.book \(keys from 0 to 1000\): foreign key violation/,
    ),
  });
  expect(await withdraw(target.ledger, runId, 'test')).toBe(1);
  await target.ended(runId, 'findings');

  // Two at once, over the same rows, and a batch before them: one waits for the other.
  const batch = await into.open();
  await batch.query('begin');
  await lockReload(batch, 'public.book', false);
  const [range] = await again(runId, { range: { from: '1', to: '1000' } }, low);
  await until('the range waits', () =>
    found(`select from pg_locks where locktype = 'advisory' and not granted`),
  );
  await batch.query('commit');
  await again(runId, { range: { from: '5', to: '900' } }, low);
  await target.ended(runId, 'findings');
  expect(await evidence(range!)).toMatchObject({ rows: 998 });

  // One refers to the other: whichever comes first, it is tried until both are in.
  const [author] = await again(runId, 'whole', { flow: 'author', deleteVanished: true });
  await target.ended(runId, 'findings');
  expect(await evidence(author!)).toMatchObject({ inserted: 1, updated: 0, deleted: 0 });
  const [book] = await again(runId, 'whole', low);
  const run = await target.ended(runId);
  expect(await evidence(book!)).toEqual({ rows: 4000, inserted: 2, updated: 1, deleted: 1 });
  expect(run.mended).toBe(true);
  await target.expectWhole(source);
  const { rows: told } = await into.query(
    `select message from rowfleet.event where actor = 'loader' order by id desc limit 1`,
  );
  expect(told).toEqual([
    { message: `batch ${book} of book was loaded again: 4000 rows, 1 updated, 2 inserted, 1 deleted` },
  ]);
  expect(await counted()).toEqual([
    { flow: 'author', in: 51, out: 51 },
    { flow: 'book', in: 4000, out: 4000 },
  ]);

  // Every row counts once, whichever of them loads it.
  await source.exec(`insert into book values (4002, 51, 'late')`);
  await again(runId, { range: { from: '4002', to: null } }, low);
  await again(runId, { batches: await copiedBatchesOf('book') });
  await target.ended(runId);
  expect((await counted())[1]).toEqual({ flow: 'book', in: 4001, out: 4001 });
  await expect(again(runId, { batches: [book!] })).rejects.toMatchObject({ code: 'TASK_RELOADED' });
});

test('batches are loaded again where rows were spoilt, and nothing is deleted; cancelling then keeps all rows', async () => {
  const runId = await migrate(shape + rows, shape);
  await target.ended(runId);
  await into.exec(
    `delete from book where id in (1, 2500); update book set title = 'spoilt' where id = 4000; insert into book values (9999, 1, 'own')`,
  );
  const batches = await batchesOf('book');
  expect(batches.length).toBeGreaterThan(1);
  // While all of the table is loaded again, its batches come back later.
  const whole = await into.open();
  await whole.query('begin');
  await lockReload(whole, 'public.book', true);
  expect(await again(runId, { batches })).toEqual(batches);
  await until('one comes back', () => found(`select from rowfleet.attempt where outcome = 'handed back'`));
  await whole.query('commit');
  await target.ended(runId, 'findings');
  expect((await target.findings(runId)).map(({ summary }) => summary).join()).toMatch(
    /4000 rows, the target holds 4001/,
  );
  await into.exec(`delete from book where id = 9999;
    insert into rowfleet.run (name, kind, plan, plan_hash, plan_file, state) values
      ('later', 'migrate', '{"targets": [{"schema": "public", "name": "book"}]}', 'h', 'later.yaml', 'verified')`);
  await expect(again(runId, { batches })).rejects.toMatchObject({ code: 'RUN_OVERLAPS' });
  await into.exec(`delete from rowfleet.run where name = 'later'`);
  await again(runId, { batches: batches.slice(0, 1) });
  await target.ended(runId);
  await target.expectWhole(source);

  await source.exec('vacuum full book');
  await again(runId, { batches: batches.slice(0, 1) });
  expect((await target.ended(runId, 'failed')).error).toMatchObject({ code: 'BLOCKS_MOVED' });
  await target.cancel(runId);
  await target.ended(runId, 'cancelled');
  await target.expectWhole(source);
});

test('refused rows stay refused in a reload, and what people made of one stays', async () => {
  const runId = await migrate(
    `${shape}${rows} update book set title = null where id in (1, 4000)`,
    shape.replace('title text', 'title text constraint titled check (title is not null)'),
    plan.replace(', quarantine_limit: {rows: 0}', ''),
  );
  await target.ended(runId, 'quarantined');
  const { rows: held } = await into.query(`select id::text from rowfleet.quarantine order by tid::tid`);
  const edits = [
    { id: held[0]!.id, targetRows: [{ id: '1', author_id: '2', title: 'mended' }], at: 'line 1' },
  ];
  await sendRefused(target.ledger, runId, { ids: [held[0]!.id], edits, actor: 'test' }, sealFrom({}));
  await target.ended(runId, 'quarantined');

  await source.exec(`update book set title = 'changed' where id = 10; delete from book where id = 20`);
  const mending = await into.open();
  await mending.query('begin');
  await mending.query('select from rowfleet.quarantine where id = $1 for update', [held[1]!.id]);
  const [book] = await again(runId, 'whole', { flow: 'book' });
  await until('the reload waits', () => found('select from pg_locks where not granted'));
  await mending.query('commit');
  await target.ended(runId, 'quarantined');
  expect(await evidence(book!)).toEqual({ rows: 3997, inserted: 0, updated: 1, deleted: 1 });
  const { rows: titles } = await into.query(
    'select id, title from book where id in (1, 10, 20, 4000) order by id',
  );
  expect(titles).toEqual([
    { id: 1, title: 'mended' },
    { id: 10, title: 'changed' },
  ]);
});

test('while a run copies, a batch that is done can be loaded again, and counts once', async () => {
  const runId = await migrate(
    `${shape}${rows} update book set title = null where id = 4000`,
    shape.replace('title text', 'title text constraint titled check (title is not null)'),
  );
  await target.ended(runId, 'failed');
  const { rows: done } = await into.query(
    `select id::text from rowfleet.task where state = 'done' and flow = 'book' order by id limit 1`,
  );
  const { rows: failed } = await into.query(
    `select id::text from rowfleet.task where state = 'failed' limit 1`,
  );
  const batches = [done[0]!.id];
  await into.exec('delete from book where id = 1');
  await expect(again(runId, 'whole', { flow: 'book' })).rejects.toMatchObject({ code: 'COPY_NOT_DONE' });
  await expect(again(runId, { batches })).rejects.toMatchObject({ code: 'OTHERS_FAILED' });
  await target.stopFleets();
  await into.exec('alter table book drop constraint titled');
  await requeue(target.ledger, runId, { actor: 'test' });
  await into.exec(`update rowfleet.run set phase = 'verify'`);
  await expect(again(runId, { batches })).rejects.toMatchObject({ code: 'RUN_BUSY' });
  await into.exec(`update rowfleet.run set phase = 'copy'`);
  await expect(again(runId, { batches: [failed[0]!.id] })).rejects.toMatchObject({ code: 'TASK_NOT_LOADED' });
  await again(runId, { batches });

  // Too much at once, and given up: what its halves cover was loaded, and counts once.
  const session = await into.open();
  const claim = async () => (await claimTask(session, 'test', batches[0])) as ClaimedTask;
  const halved = await claim();
  const spec = halved.spec as BatchSpec;
  const halves: [BatchSpec, BatchSpec] = [
    { ...spec, toBlock: spec.fromBlock + 1 },
    { ...spec, fromBlock: spec.fromBlock + 1 },
  ];
  const slow = { class: 'shrink', code: 'BATCH_TIMEOUT', message: 'slow' } as const;
  await failTask(target.ledger.pool, halved, slow, { waitMs: 0, counts: false, halves });
  expect(await withdraw(target.ledger, runId, 'test')).toBe(2);
  const { rows: kept } = await into.query(
    `select spec from rowfleet.task where state = 'done' and spec in ($1, $2) order by id`,
    halves.map((half) => JSON.stringify(half)),
  );
  expect(kept).toEqual(halves.map((half) => ({ spec: half })));

  // One that is under way answers at once, and ends where it is given up.
  await again(runId, { batches });
  const running = await claim();
  await session.query('begin');
  await lockClaim(session, running);
  const asked = requeue(target.ledger, runId, { tasks: batches, actor: 'test' });
  await expect(asked).rejects.toMatchObject({ code: 'TASK_RUNNING' });
  await expect(again(runId, { batches })).rejects.toMatchObject({ code: 'TASK_RUNNING' });
  expect(await withdraw(target.ledger, runId, 'test')).toBe(1);
  await expect(session.query('select 1')).rejects.toThrow();

  await again(runId, { batches });
  target.startFleet();
  // Not mended: the loaders' own numbers are held against the source, and the row is back.
  expect((await target.ended(runId)).mended).toBe(false);
  expect(await evidence(batches[0])).toMatchObject({ inserted: 1, updated: 0, deleted: 0 });
  expect(await compareDatabases(source, into)).toEqual([]);
});
