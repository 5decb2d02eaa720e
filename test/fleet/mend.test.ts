import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { discardRefused, sendRefused } from '../../src/control/quarantine.ts';
import { reload } from '../../src/control/reload.ts';
import { readQuarantined } from '../../src/ledger/read-quarantine.ts';
import { readRun } from '../../src/ledger/runs.ts';
import { sealFrom } from '../../src/ledger/seal.ts';
import { until } from '../fleet-processes.ts';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let into: TestDatabase;
let target: Target;

beforeEach(async () => {
  [source, into] = await Promise.all([createDatabase(18), createDatabase(15)]);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await target.close();
  await Promise.all([source.drop(), into.drop()]);
});

async function migrate(plan: string): Promise<string> {
  target = await openTarget(into);
  target.startFleet();
  return target.start(source, plan);
}

interface Sending {
  ids?: string[];
  edits?: { id: string; targetRows: unknown }[];
}

const send = (runId: string, { ids, edits = [] }: Sending = {}) =>
  sendRefused(
    target.ledger,
    runId,
    { ...(ids && { ids }), edits: edits.map((edit) => ({ ...edit, at: 'test' })), actor: 'test' },
    sealFrom(process.env),
  );

/** The rows of the quarantine by the source's key. */
async function rowsByKey(runId: string) {
  const rows = await readQuarantined(target.ledger.pool, { runId }, sealFrom(process.env));
  return new Map(rows.map((row) => [row.values?.sourceKey?.id, row]));
}

const statesOf = async (runId: string) =>
  Object.fromEntries([...(await rowsByKey(runId))].map(([id, { state }]) => [id, state]));

const itemTables = `
  create table item (id int primary key, name text, note text, n int, amount text, divisor int);
  insert into item select i, 'n' || i, 'x', i, '1.25', 1 from generate_series(1, 3000) i;
  update item set divisor = 0 where id = 1;
  update item set name = repeat('long', 10) where id = 700;
  update item set note = null where id = 1400;
  update item set n = -5 where id = 1401;
  update item set amount = 'many' where id = 2999;`;

const itemTarget = `
  create table item (id int primary key, name varchar(12), note text not null,
    n int constraint positive check (n > 0), amount numeric(5, 2), serial int generated always as identity);`;

const itemPlan = `
name: zoo
flows:
  - name: item
    from: item i
    to: item
    columns: {id: i.id / i.divisor, name: i.name, note: i.note, n: i.n, amount: "i.amount::numeric"}`;

/** What the plan yields, with what is expected instead for some ids. */
async function expectItems(instead: Record<number, object> = {}, without: number[] = []): Promise<void> {
  const { rows: expected } = await source.query(
    `select id, name, note, n, case when amount = 'many' then null else amount::numeric(5, 2) end as amount from item
      where id <> all ($1) order by id`,
    [without],
  );
  const { rows: found } = await into.query('select id, name, note, n, amount from item order by id');
  expect(found).toEqual(expected.map((row) => ({ ...row, ...instead[row.id] })));
}

test('rows are mended in the source, by hand and in the target, sent again, and verified with all others', async () => {
  await source.exec(itemTables);
  await into.exec(itemTarget);
  const runId = await migrate(itemPlan);
  await target.ended(runId, 'quarantined');
  const refused = await rowsByKey(runId);
  expect([...refused.keys()].sort()).toEqual(['1', '1400', '1401', '2999', '700']);

  // Nothing was mended: every row is refused for the same reason, which is counted, and the run ends as before.
  const counted = async () =>
    (await into.query(`select sum(count)::int as n from rowfleet.error_pattern where class = 'row'`)).rows[0]!
      .n;
  const before = await counted();
  expect(await send(runId)).toEqual({ rows: 5, edited: 0, left: [] });
  await target.ended(runId, 'quarantined');
  expect(await counted()).toBe(before + 5);
  const again = await rowsByKey(runId);
  for (const [id, row] of again) {
    const { code, constraint, stage, values } = refused.get(id)!;
    expect(row).toMatchObject({ state: 'held', code, stage, ...(constraint && { constraint }), values });
    expect(row.history.map(({ did }) => did)).toEqual(['sent again', `refused again: ${row.message}`]);
  }

  await source.exec(
    'update item set divisor = 1 where id = 1; update item set note = $$why$$ where id = 1400',
  );
  await into.exec('alter table item drop constraint positive');
  const long = again.get('700')!;
  const edited = { ...long.values!.targetRows![0], name: 'short', amount: '1.005' };
  const unedited = again.get('1')!;
  await expect(
    send(runId, { ids: [long.id], edits: [{ id: long.id, targetRows: [{ ...edited, nmae: 'x' }] }] }),
  ).rejects.toMatchObject({ code: 'EDIT_INVALID', hint: 'did you mean name?' });
  expect(
    await send(runId, {
      edits: [
        { id: long.id, targetRows: [edited] },
        { id: unedited.id, targetRows: null },
      ],
    }),
  ).toEqual({ rows: 5, edited: 1, left: [] });
  await target.ended(runId, 'quarantined');
  expect(await statesOf(runId)).toEqual({
    ...{ 1: 'loaded', 700: 'loaded', 1400: 'loaded', 1401: 'loaded', 2999: 'held' },
  });
  const mended = { 700: { name: 'short', amount: '1.01' } };
  await expectItems(mended, [2999]);

  // What a person gave up is kept, and keeps the run from being verified.
  const { id } = again.get('2999')!;
  await discardRefused(target.ledger, runId, { ids: [id], reason: 'nobody knows', actor: 'test' });
  await target.resume(runId);
  await target.ended(runId, 'quarantined');
  const { rows: events } = await into.query(`select message from rowfleet.event where message ~ 'discarded'`);
  expect(events).toEqual([{ message: 'discarded 1 row of the quarantine: nobody knows' }]);

  // An edited row is held against the edit.
  await source.exec(`update item set amount = '7' where id = 2999`);
  await into.exec(`update item set name = 'changed' where id = 700`);
  await expect(send(runId, { ids: [long.id] })).rejects.toMatchObject({
    ...{ code: 'ROWS_NONE', message: `nothing to do: row ${long.id} is loaded as edited` },
  });
  await send(runId, { ids: [id] });
  await target.ended(runId, 'findings');
  expect(await target.findings(runId)).toMatchObject([
    {
      check: 'digest',
      details: [{ key: { id: '700' }, column: 'name', expected: 'short', found: 'changed' }],
    },
  ]);
  await into.exec(`update item set name = 'short' where id = 700`);
  await target.resume(runId);
  await target.ended(runId);
  await expectItems(mended);
  const { rows } = await into.query(
    `select sum(rows_out)::int as out, sum(rows_in)::int as in, sum(rows_quarantined)::int as quarantined
       from rowfleet.task where kind = 'batch'`,
  );
  expect(rows).toEqual([{ out: 3000, in: 2995, quarantined: 5 }]);
  await expect(send(runId)).rejects.toMatchObject({ code: 'RUN_STATE' });
});

test('rows that others refer to, rows without a key and rows that went are sent again', async () => {
  await source.exec(`
    create table branch (id int primary key, n int); insert into branch values (1, 1), (2, -1);
    create table leaf (id int primary key, branch int); insert into leaf values (1, 1), (2, 2);
    create table node (id int primary key, parent int, n int);
    insert into node select i, case when i > 1 then i - 1 end, i from generate_series(1, 40) i;
    update node set n = -1 where id = 38;
    create table loose (x int, n int); insert into loose
      select i, case when i in (7, 8, 9, 12) then -1 else i end from generate_series(1, 40) i`);
  await into.exec(`
    create table branch (id int primary key, n int check (n > 0));
    create table leaf (id int primary key, branch int references branch);
    insert into branch values (1000, 1); insert into leaf values (1000, 1000);
    revoke references on branch from current_user;
    create table node (id int primary key, parent int references node, n int constraint up check (n > 0));
    insert into node values (1000, null, 1); revoke references on node from current_user;
    create table loose (x int, n int constraint up check (n > 0));
    create table noticed (id int); create function notice() returns trigger language plpgsql as
      $$begin insert into public.noticed values (new.id); return new; end$$;
    create trigger notice after insert on node for each row execute function notice()`);
  const runId = await migrate('name: several\nallow_non_empty: true\ntables: "*"');
  await target.ended(runId, 'quarantined');
  const before = await readQuarantined(target.ledger.pool, { runId }, sealFrom({}));
  const codesOf = (name: string) => before.filter(({ flow }) => flow === name).map(({ code }) => code);
  expect(codesOf('node').sort()).toEqual(['23503', '23503', '23514']);
  expect(codesOf('loose')).toEqual(['23514', '23514', '23514', '23514']);
  expect(codesOf('leaf')).toContain('23503');

  await source.exec('update node set n = 38 where id = 38; update branch set n = 2 where id = 2');
  const eight = before.find(({ values }) => (values!.sourceRow as { x?: number }).x === 8)!;
  // Leaves are sent beside the branch that one of them lacks.
  const other = await into.open();
  await other.query('begin; lock table public.branch in share mode');
  await send(runId, { edits: [{ id: eight.id, targetRows: [{ x: 8, n: '88' }] }] });
  await until('a leaf was tried', async () => {
    const { rowCount } = await into.query(
      `select 1 from rowfleet.attempt a join rowfleet.task t on t.id = a.task_id
        where t.kind = 'mend' and t.flow = 'leaf' and a.ended_at is not null`,
    );
    return rowCount !== 0;
  });
  await other.query('commit');
  await target.ended(runId, 'quarantined');
  const leaves = await into.query('select * from leaf where id < 1000 order by id');
  expect(leaves.rows).toEqual([
    { id: 1, branch: 1 },
    { id: 2, branch: 2 },
  ]);
  const nodes = 'select id, parent, n from node where id <= 40 order by id';
  expect((await into.query(nodes)).rows).toEqual((await source.query(nodes)).rows);
  // As in a copy, no trigger of the target noticed.
  expect((await into.query('select * from noticed')).rows).toEqual([]);

  // A row without a key that was changed is another one to everybody: it is missing, until its flow is loaded anew.
  // Where one was deleted, another stands.
  await source.exec('update loose set n = 12 where x = 12; delete from loose where x = 9');
  await source.exec('vacuum loose');
  await source.exec('update loose set n = n where x = 10');
  expect((await source.query('select ctid from loose where x = 10')).rows).toEqual([{ ctid: '(0,9)' }]);
  await into.exec('alter table loose drop constraint up');
  await send(runId);
  await target.ended(runId, 'findings');
  const loose = async () =>
    (await into.query('select x, n from loose where x between 6 and 13 order by x')).rows.map(
      ({ x, n }) => `${x}: ${n}`,
    );
  expect(await loose()).toEqual(['6: 6', '7: -1', '8: 88', '10: 10', '11: 11', '13: 13']);
  const found = (await target.findings(runId)).toSorted((a, b) => (a.check < b.check ? -1 : 1));
  expect(found).toMatchObject([
    { check: 'accounting', relation: 'public.loose' },
    { check: 'digest', relation: 'public.loose', details: [{ problem: 'missing' }] },
  ]);
  await reload(target.ledger, runId, { flow: 'loose', scope: 'whole', actor: 'test' });
  await target.ended(runId);
  expect(await loose()).toEqual(['6: 6', '7: -1', '8: 88', '10: 10', '11: 11', '12: 12', '13: 13']);
});

test('encrypted rows are edited and sent by those who have the key', async () => {
  const key = Buffer.alloc(32, 7).toString('base64');
  vi.stubEnv('ROWFLEET_QUARANTINE_KEY', key);
  await source.exec(
    'create table item (id int primary key, n int); insert into item values (1, 5), (2, -42), (3, -43)',
  );
  await into.exec('create table item (id int primary key, n int check (n > 0))');
  const runId = await migrate('name: sealed\ntables: "*"');
  await target.ended(runId, 'quarantined');
  const rows = await rowsByKey(runId);
  const edits = [{ id: rows.get('2')!.id, targetRows: [{ id: 2, n: 42424242 }], at: 'test' }];
  await expect(
    sendRefused(target.ledger, runId, { edits, actor: 'test' }, sealFrom({})),
  ).rejects.toMatchObject({ code: 'SEAL_KEY_MISSING' });
  await source.exec('delete from item where id = 3');
  // Nothing is verified before the last of them is in, or refused again.
  const other = await into.open();
  await other.query('begin; lock table public.item in share mode');
  await send(runId, { edits });
  await until('the run waits', async () => {
    const { waiting } = await readRun(target.ledger.pool, runId);
    return waiting?.startsWith('refused rows are sent again: 1 batch');
  });
  await other.query('commit');
  await target.ended(runId);
  expect((await into.query('select * from item order by id')).rows).toEqual([
    { id: 1, n: 5 },
    { id: 2, n: 42424242 },
  ]);
  const { rows: kept } = await into.query('select edited from rowfleet.quarantine where edited is not null');
  expect(kept).toHaveLength(1);
  expect(kept[0]!.edited.toString('latin1')).not.toContain('42424242');
});

test('an edit is taken back: in place where others refer to it, into quarantine where the row is refused, or not at all', async () => {
  await source.exec(`
    create table item (id int primary key, n int);
    insert into item values (1, 1), (2, -2), (3, -3), (4, -4), (5, -5), (6, -6);
    create table child (id int primary key, item_id int);
    insert into child values (1, 1), (2, 2), (3, 901);
    create table part (id int primary key, item_id int); insert into part values (1, 906);
    create table loose (x int, n int); insert into loose values (1, 1), (2, -2), (3, 33)`);
  await into.exec(`
    create table item (id int primary key, n int check (n > 0));
    create table child (id int primary key, item_id int references item);
    create table part (id int primary key, item_id int references item on delete cascade);
    create table loose (x int, n int check (n > 0))`);
  const runId = await migrate('name: back\nmigration: {quarantine_limit: {ratio: 1}}\ntables: "*"');
  await target.ended(runId, 'findings');
  const rows = await rowsByKey(runId);
  const idOf = (key: string | undefined) => rows.get(key)!.id;
  const edit = (key: string | undefined, row: object) => ({ id: idOf(key), targetRows: [row] });
  const edits = [
    edit('2', { id: 2, n: 20 }),
    edit('3', { id: 900, n: 30 }),
    edit('4', { id: 901, n: 40 }),
    edit('6', { id: 906, n: 60 }),
    // One of two rows that nothing tells apart.
    edit(undefined, { x: 3, n: 33 }),
  ];
  await send(runId, { ids: edits.map(({ id }) => id), edits });
  await target.ended(runId, 'quarantined');
  await expect(send(runId, { ids: [idOf('2')] })).rejects.toMatchObject({
    ...{ code: 'ROWS_NONE', message: `nothing to do: row ${idOf('2')} is loaded as edited` },
    hint: expect.stringContaining(`rowfleet quarantine retry ${idOf('2')} --as-source --run ${runId}`),
  });

  await source.exec('update item set n = 7 where id = 2');
  await source.exec(`insert into child values (4, 2)`);
  await into.exec(`insert into child values (4, 2)`);
  const ids = edits.map(({ id }) => id);
  expect(
    await sendRefused(target.ledger, runId, { ids, asSource: true, actor: 'test' }, sealFrom({})),
  ).toMatchObject({ rows: 5, left: [] });
  await target.ended(runId, 'quarantined');
  expect((await into.query('select * from item order by id')).rows).toEqual([
    { id: 1, n: 1 },
    { id: 2, n: 7 },
    { id: 901, n: 40 },
    { id: 906, n: 60 },
  ]);
  const after = await rowsByKey(runId);
  expect(await statesOf(runId)).toMatchObject({
    2: 'loaded',
    3: 'held',
    4: 'loaded',
    5: 'held',
    6: 'loaded',
  });
  expect(after.get('2')).toMatchObject({ rowsIn: 1, values: { edited: null } });
  expect(after.get('3')).toMatchObject({ rowsIn: null, values: { edited: null }, code: '23514' });
  expect(after.get('4')!.history.at(-1)!.did).toMatch(/^the edit was not taken back: .*child_item_id_fkey/);
  expect(after.get('6')!.history.at(-1)!.did).toMatch(/ and as edited it stays: .*public\.part/);
  expect((await into.query('select * from part')).rows).toHaveLength(1);
  expect(after.get(undefined)).toMatchObject({ state: 'held', rowsIn: null });
  expect((await into.query('select * from loose order by x, n')).rows).toEqual([
    { x: 1, n: 1 },
    { x: 3, n: 33 },
  ]);

  // What the plan yields by now has a key that another row has taken: that one is not written over.
  await send(runId, { ids: [idOf('5')], edits: [edit('5', { id: 905, n: 50 })] });
  await target.ended(runId, 'quarantined');
  await source.exec('update item set n = 5 where id = 5');
  await into.exec('insert into item values (5, 55)');
  await sendRefused(target.ledger, runId, { ids: [idOf('5')], asSource: true, actor: 'test' }, sealFrom({}));
  await target.ended(runId, 'findings');
  expect((await into.query('select * from item where id in (5, 905) order by id')).rows).toEqual([
    { id: 5, n: 55 },
    { id: 905, n: 50 },
  ]);
  expect((await rowsByKey(runId)).get('5')!.history.at(-1)!.did).toBe(
    'the edit was not taken back: another row of public.item has the key that the plan yields for it',
  );
});
