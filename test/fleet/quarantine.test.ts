import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { discardRefused, sendRefused } from '../../src/control/quarantine.ts';
import { sealFrom } from '../../src/ledger/seal.ts';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let into: TestDatabase;
let target: Target;

beforeEach(async () => {
  [source, into] = await Promise.all([createDatabase(15), createDatabase(18)]);
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

const quarantined = async (columns: string) =>
  (await into.query(`select ${columns} from rowfleet.quarantine order by leaf, tid::tid`)).rows;

/** Rows of both sides by the plan's own mapping, without the keys that are given. */
async function expectRest(select: string, of: string, without: number[]): Promise<void> {
  const { rows: expected } = await source.query(
    `select * from (${select}) r where id <> all ($1) order by id`,
    [without],
  );
  const { rows: found } = await into.query(`select * from ${of} order by id`);
  expect(found).toEqual(expected);
}

// What the target refuses, and how: id → [stage, SQLSTATE, constraint, column].
const refusals: Record<number, [string, string, string | null, string | null]> = {
  1: ['extract', '22012', null, 'id'],
  700: ['load', '22001', null, 'name'],
  1400: ['constraint', '23502', null, 'note'],
  1401: ['constraint', '23514', 'positive', null],
  1402: ['constraint', '23514', 'short_check', 'tag'],
  2999: ['extract', '22P02', null, 'amount'],
  4000: ['load', '22003', null, 'amount'],
};

const zoo = `
  create table item (id int primary key, name text, note text, n int, tag text, amount text, divisor int);
  insert into item select i, 'n' || i, 'x', i, 'ab', '1.25', 1 from generate_series(1, 4000) i;
  update item set divisor = 0 where id = 1;
  update item set name = repeat('long', 10) where id = 700;
  update item set note = null where id = 1400;
  update item set n = -5 where id = 1401;
  update item set tag = 'abcdef' where id = 1402;
  update item set amount = 'many' where id = 2999;
  update item set amount = '12345.678' where id = 4000;`;

const zooTarget = `
  create domain short as text check (length(value) < 3);
  create table item (id int primary key, name varchar(12), note text not null,
    n int constraint positive check (n > 0), tag short, amount numeric(5, 2));`;

const zooPlan = `
name: zoo
migration: {batch_size: 1500}
flows:
  - name: item
    from: item i
    to: item
    columns: {id: i.id / i.divisor, name: i.name, note: i.note, n: i.n, tag: i.tag, amount: "i.amount::numeric"}`;

test('rows that are refused are set aside one by one, and all the others are loaded and verified', async () => {
  await source.exec(zoo);
  await into.exec(zooTarget);
  const runId = await migrate(zooPlan);
  await target.ended(runId, 'quarantined');
  const held = await quarantined(
    `(convert_from(source_key, 'UTF8')::jsonb ->> 'id')::int as id, stage, code, constraint_name, column_name, state, outputs,
     attempt, revision, sealed_with, convert_from(source_row, 'UTF8')::jsonb as row, convert_from(target_rows, 'UTF8')::jsonb as into`,
  );
  expect(
    Object.fromEntries(
      held
        .sort((a, b) => a.id - b.id)
        .map(({ id, stage, code, constraint_name, column_name }) => [
          id,
          [stage, code, constraint_name, column_name],
        ]),
    ),
  ).toEqual(refusals);
  expect(held[3]).toMatchObject({
    ...{ id: 1401, state: 'held', outputs: 1, attempt: 2, revision: 1, sealed_with: null },
    row: { id: 1401, name: 'n1401', note: 'x', n: -5, tag: 'ab', amount: '1.25', divisor: 1 },
    into: [{ id: '1401', name: 'n1401', note: 'x', n: '-5', tag: 'ab', amount: '1.25' }],
  });
  expect(held[0]).toMatchObject({ row: { id: 1, divisor: 0 }, into: null });

  const ids = Object.keys(refusals).map(Number);
  await expectRest(
    `select id, name, note, n, tag, case when id = 2999 then 0 else amount::numeric end::numeric(7, 2) as amount
       from item`,
    'item',
    ids,
  );
  await target.expectCatalogAsBefore();
  expect(await target.findings(runId)).toEqual([]);
  const { rows } = await into.query(
    `select sum(rows_out)::int as out, sum(rows_in)::int as in, sum(rows_quarantined)::int as quarantined
       from rowfleet.task where kind = 'batch'`,
  );
  expect(rows).toEqual([{ out: 4000, in: 3993, quarantined: 7 }]);
  const { rows: checks } = await into.query(
    `select evidence from rowfleet.task where spec ->> 'check' = 'accounting'`,
  );
  expect(checks[0]!.evidence).toMatchObject({ driving: 4000, outputs: 3993, filtered: 0, quarantined: 7 });
  const { rows: patterns } = await into.query(
    `select count::int from rowfleet.error_pattern where class = 'row' and constraint_name = 'positive'`,
  );
  expect(patterns).toEqual([{ count: expect.toBeOneOf([1, 2]) }]);

  // Nothing was mended: it ends as before.
  await target.resume(runId);
  await target.ended(runId, 'quarantined');
});

test('a driving row is refused with all that it yields, also without a key, and what others refer to counts', async () => {
  await source.exec(`
    create table a (x int, list text); create table node (id int primary key, parent int);
    insert into a select i, i || ',' || i + 1 from generate_series(1, 900) i;
    update a set list = '5,six,7' where x = 5; update a set list = '9,nine' where x = 9;
    insert into node select i, case when i < 100 then i + 1 end from generate_series(1, 100) i;
    update node set parent = 9999 where id = 30`);
  // A key that may not be made again stays up.
  await into.exec(`
    create table part (x int, n int); create table node (id int primary key, parent int references node);
    insert into node values (100000, null); revoke references on node from current_user`);
  const runId = await migrate(`
name: several
migration: {quarantine_limit: {ratio: 1}}
allow_non_empty: true
flows:
  - {name: part, from: a, join: "cross join lateral unnest(string_to_array(a.list, ',')) as p (n)", join_rows: any, to: part, columns: {x: a.x, n: "p.n::int"}}
  - {name: node, from: node n, to: node, columns: {id: n.id, parent: n.parent}}`);
  await target.ended(runId, 'quarantined');
  expect(
    await quarantined(
      `flow, outputs, source_key is null as keyless, code, convert_from(target_rows, 'UTF8')::jsonb as into`,
    ),
  ).toEqual(
    expect.arrayContaining([
      { flow: 'part', outputs: 3, keyless: true, code: '22P02', into: null },
      { flow: 'part', outputs: 2, keyless: true, code: '22P02', into: null },
    ]),
  );
  const { rows } = await into.query('select count(*)::int as n from part where x not in (5, 9)');
  expect(rows).toEqual([{ n: 1796 }]);
  // Node 30 is refused, and with it those that are above it only through it.
  const { rows: nodes } = await into.query(
    'select min(id) as min, count(*)::int as n from node where id <= 100',
  );
  expect(nodes).toEqual([{ min: 31, n: 70 }]);
});

test('the plan’s limit stops the run, with nothing of the batch kept', async () => {
  await source.exec(zoo);
  await into.exec(zooTarget);
  const runId = await migrate(zooPlan.replace('{batch_size: 1500}', '{quarantine_limit: {rows: 2}}'));
  const { error } = await target.ended(runId, 'failed');
  expect(error).toMatchObject({
    code: 'QUARANTINE_LIMIT',
    message: expect.stringMatching(
      /^batch \d+ of item → public\.item .*: public\.item: .*quarantine_limit .*2/,
    ),
  });
  const { rows } = await into.query(
    `select count(*)::int as n, count(*) filter (where i.id is not null)::int as loaded
       from rowfleet.quarantine full join item i on false`,
  );
  expect(rows[0]!.n - rows[0]!.loaded).toBeLessThanOrEqual(2);
});

test('with a key the rows are encrypted, and without it they can only be given up', async () => {
  const key = Buffer.alloc(32, 7).toString('base64');
  vi.stubEnv('ROWFLEET_QUARANTINE_KEY', key);
  await source.exec(
    `create table item (id int primary key, n int); insert into item values (1, 5), (2, -424242)`,
  );
  await into.exec('create table item (id int primary key, n int check (n > 0))');
  const runId = await migrate('name: sealed\ntables: "*"');
  await target.ended(runId, 'quarantined');
  const [row] = await quarantined('sealed_with, source_key, source_row, target_rows');
  for (const column of ['source_key', 'source_row', 'target_rows'])
    expect(row![column].toString('latin1')).not.toMatch(/424242|"id"/);
  const seal = sealFrom({ ROWFLEET_QUARANTINE_KEY: key });
  expect(seal.open(row!.source_row, row!.sealed_with, `${runId} item source_row`)).toContain('-424242');

  const send = (env: NodeJS.ProcessEnv) =>
    sendRefused(target.ledger, runId, { actor: 'test' }, sealFrom(env));
  await expect(send({})).rejects.toMatchObject({
    ...{ code: 'SEAL_KEY_MISSING', message: expect.stringContaining('KEY is not set') },
  });
  await expect(
    send({ ROWFLEET_QUARANTINE_KEY: Buffer.alloc(32, 8).toString('base64') }),
  ).rejects.toMatchObject({ message: expect.stringContaining('KEY holds another one') });
  await target.stopFleets();
  vi.stubEnv('ROWFLEET_QUARANTINE_KEY', '');
  target.startFleet();
  await send({ ROWFLEET_QUARANTINE_KEY: key });
  const { error } = await target.ended(runId, 'failed');
  expect(error).toMatchObject({ code: 'SEAL_KEY_MISSING' });
  await discardRefused(target.ledger, runId, { reason: 'the key is lost', actor: 'test' });
  await target.resume(runId);
  await target.ended(runId, 'quarantined');
  expect((await into.query('select id from item')).rows).toEqual([{ id: 1 }]);
});
