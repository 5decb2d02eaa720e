import { afterEach, beforeEach, expect, test } from 'vitest';
import { pauseRun, resumeFlow } from '../../src/control/pause.ts';
import { sendRefused } from '../../src/control/quarantine.ts';
import type { Revision } from '../../src/control/revise.ts';
import { readOpenFlows } from '../../src/ledger/flows.ts';
import { readRun } from '../../src/ledger/runs.ts';
import { sealFrom } from '../../src/ledger/seal.ts';
import { until } from '../fleet-processes.ts';
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

async function migrate(plan: string): Promise<string> {
  target = await openTarget(into);
  target.startFleet();
  return target.start(source, plan);
}

const revise = (runId: string, body: string, dryRun = false): Promise<Revision> =>
  target.revise(source, runId, body, dryRun);

const send = (runId: string) => sendRefused(target.ledger, runId, { actor: 'test' }, sealFrom(process.env));

const plan = (columns: string, more = '') => `
name: revised
flows:
  - {name: item, from: item i, to: item, columns: {${columns}}${more}}
  - {name: other, from: item i, to: other, columns: {id: i.id}}`;

test('a mended plan lets refused rows pass; what was loaded before it is loaded again, and all is verified', async () => {
  await source.exec(`
    create table item (id int primary key, name text, n int);
    insert into item select i, 'n' || i, i from generate_series(1, 2000) i;
    update item set name = repeat('long', 10) where id = 700;
    update item set n = -1 where id = 9`);
  await into.exec(`
    create table item (id int primary key, name varchar(12), n int check (n > 0));
    create table other (id int primary key, item int references item)`);
  const first = plan('id: i.id, name: i.name, n: i.n');
  const runId = await migrate(first);
  await target.ended(runId, 'quarantined');
  expect(await revise(runId, first)).toMatchObject({ number: 1, changes: [] });

  const second = plan('id: i.id, name: "left(i.name, 12)", n: i.n');
  const foreseen = await revise(runId, second, true);
  expect(foreseen).toMatchObject({
    number: 1,
    changes: [{ flow: 'item', what: 'column name', before: 'i.name', after: 'left(i.name, 12)' }],
    consequences: [{ flow: 'item', kind: 'reload', standing: { refused: 2 } }],
  });
  expect(await revise(runId, second)).toEqual({ ...foreseen, number: 2 });
  await send(runId);
  await target.ended(runId, 'quarantined');
  expect((await into.query('select name from item where id = 700')).rows).toEqual([{ name: 'longlonglong' }]);

  // Another key: the rows of the old one go, also those that were mended.
  const third = plan('id: i.id + 10000, name: "left(i.name, 12)", n: abs(i.n)');
  await expect(revise(runId, third)).resolves.toMatchObject({ number: 3 });
  await send(runId);
  await target.ended(runId);
  const { rows } = await source.query(
    'select id + 10000 as id, left(name, 12) as name, abs(n) as n from item order by id',
  );
  expect((await into.query('select id, name, n from item order by id')).rows).toEqual(rows);
  const { rows: revisions } = await into.query(
    'select revision, summary from rowfleet.plan_revision order by 1',
  );
  expect(revisions).toEqual([
    { revision: 1, summary: 'started' },
    { revision: 2, summary: 'item: column name; loaded again: item' },
    { revision: 3, summary: 'item: column id, item: column n; loaded again: item' },
  ]);
  const { rows: refused } = await into.query(
    'select revision, state from rowfleet.quarantine order by revision',
  );
  expect(refused).toEqual([
    { revision: 1, state: 'loaded' },
    { revision: 2, state: 'loaded' },
  ]);
  await expect(revise(runId, first)).rejects.toMatchObject({ code: 'RUN_STATE' });
});

test('settings change at any time; other tables and other flows are another migration', async () => {
  await source.exec(`create table item (id int primary key, n int);
    insert into item select i, -i from generate_series(1, 30) i; create table third (id int primary key)`);
  await into.exec(`create table item (id int primary key, n int check (n > 0));
    create table other (id int primary key); create table third (id int primary key)`);
  const body = plan('id: i.id, n: i.n');
  const runId = await migrate(`${body}\nmigration: {quarantine_limit: {rows: 5}}`);
  await target.ended(runId, 'failed');
  await expect(revise(runId, `${body}\ntables: [third]`)).rejects.toMatchObject({
    ...{ code: 'REVISION_OTHER', message: expect.stringContaining('flow third is new') },
  });
  await expect(
    revise(runId, body.replace('to: other, columns: {id: i.id}', 'to: third, columns: {id: i.id}')),
  ).rejects.toMatchObject({ message: expect.stringContaining('flow other fills public.third') });
  await expect(
    revise(
      runId,
      body.replace(
        'from: item i, to: other, columns: {id: i.id}',
        'from: third i, to: other, columns: {id: i.id}',
      ),
    ),
  ).rejects.toMatchObject({ message: expect.stringContaining('flow other reads other tables') });
  const raised = await revise(runId, `${body}\nmigration: {quarantine_limit: {rows: 50, ratio: 1}}`);
  expect(raised).toMatchObject({
    changes: [{ flow: null, what: 'quarantine_limit', after: '{"ratio":1,"rows":50}' }],
    consequences: [],
  });
  await target.resume(runId);
  await target.ended(runId, 'quarantined');
  expect((await into.query('select count(*)::int as n from rowfleet.quarantine')).rows).toEqual([{ n: 30 }]);
});

test('a plan is revised while its run copies: done batches are loaded again, or all starts anew', async () => {
  await source.exec(`create table item (id int primary key, n int);
    insert into item select i, i from generate_series(1, 40000) i;
    create function slow(n int) returns int language plpgsql immutable as
      $$begin if n = 39999 then perform pg_advisory_xact_lock_shared(1); end if; return n; end$$`);
  const gate = await source.open();
  await gate.query('select pg_advisory_lock(1)');
  await into.exec(`create table item (id int primary key, n int); create table other (id int primary key);
    create table heir () inherits (item); insert into heir values (1, 1)`);
  const slow = plan('id: i.id, n: "slow(i.n)"');
  const runId = await migrate(slow);
  const run = await readRun(target.ledger.pool, runId);
  await pauseRun(target.ledger, run, { flow: 'other', actor: 'test' }); // So that there is more to copy.
  const waiting = async (database: TestDatabase) =>
    (await database.query(`select 1 from pg_locks where locktype = 'advisory' and not granted`)).rowCount ===
    1;
  await until('the last batch is under way', () => waiting(source));
  const loaded = `select 1 from rowfleet.task where run_id = $1 and flow = 'item' and kind = 'batch' and state = 'done'`;
  await until('another is loaded', async () => (await into.query(loaded, [runId])).rowCount! > 0);
  const values = await revise(runId, plan('id: i.id, n: "slow(i.n) + 1"'), true);
  expect(values.consequences).toMatchObject([{ flow: 'item', kind: 'batches' }]);
  // The batch under way goes by the plan before, and is waited for; so its rows go too.
  const revised = revise(runId, plan('id: i.id, n: "-i.n"', ', where: i.n > 100'));
  await until('the revision waits', () => waiting(into));
  await gate.query('select pg_advisory_unlock(1)');
  expect((await revised).consequences).toMatchObject([{ flow: 'item', kind: 'restart', together: [] }]);

  await until(
    'the flow is copied',
    async () => !(await readOpenFlows(target.ledger.pool, runId)).includes('item'),
  );
  const again = await revise(runId, plan('id: i.id, n: "5 - i.n"', ', where: i.n > 100'));
  expect(again.consequences).toMatchObject([{ flow: 'item', kind: 'batches' }]);
  await resumeFlow(target.ledger, run, { flow: 'other', actor: 'test' });
  await target.ended(runId);
  const { rows } = await source.query('select id, 5 - n as n from item where n > 100 order by id');
  expect((await into.query('select id, n from only item order by id')).rows).toEqual(rows);
  expect((await into.query('select id, n from heir')).rows).toEqual([{ id: 1, n: 1 }]); // It is no part of the run.
});
