import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let database: TestDatabase;
let target: Target;

const shape = `
  create table customer (id int primary key, name text not null);
  create table invoice (id bigint primary key, customer_id int references customer, total numeric(10, 2), scan bytea);
  insert into customer select i, 'c' || i from generate_series(1, 300) i;
  insert into invoice select i, 1 + i % 300, i / 7.0, decode(md5(i::text), 'hex') from generate_series(1, 20000) i;`;

const plan = 'name: look\ntables: "*"';

beforeAll(async () => {
  [source, database] = await Promise.all([createDatabase(15), createDatabase(18)]);
  await source.exec(shape);
  await database.exec(shape);
  target = await openTarget(database);
  target.startFleet();
});

afterAll(async () => {
  await target.close();
  await Promise.all([source, database].map((each) => each.drop()));
});

/** Validates, and leaves the target alone. */
async function validate(state: 'verified' | 'findings') {
  const runId = await target.start(source, plan, 'validate');
  await target.ended(runId, state);
  await target.expectCatalogAsBefore();
  return target.findings(runId);
}

test('equal databases are verified', async () => {
  expect(await validate('verified')).toEqual([]);
  const { rows } = await database.query(
    `select kind, count(*)::int > 4 as several from rowfleet.task group by kind`,
  );
  expect(rows).toEqual([{ kind: 'check', several: true }]);
});

test.each([
  {
    what: 'one byte',
    sql: `update invoice set scan = set_byte(scan, 3, get_byte(scan, 3) # 1) where id = 12345`,
    column: 'scan',
    id: '12345',
  },
  {
    what: 'one hundredth',
    sql: `update invoice set total = total + 0.01 where id = 7`,
    column: 'total',
    id: '7',
  },
])('$what is found: key, column and both values', async ({ sql, column, id }) => {
  const read = async (from: TestDatabase) =>
    (await from.query(`select ${column}::text as value from invoice where id = ${id}`)).rows[0]!.value;
  await database.exec(sql);
  const found = await validate('findings');
  const [expected, is] = [await read(source), await read(database)];
  expect(is).not.toBe(expected);
  expect(found).toEqual([
    {
      check: 'digest',
      relation: 'public.invoice',
      summary: expect.stringContaining('public.invoice'),
      details: [{ key: { id }, column, problem: 'different', expected, found: is }],
    },
  ]);
  expect(found[0]!.summary).not.toContain(is);
  await database.query(
    'update invoice set scan = decode(md5(id::text), $1), total = id / 7.0 where id = $2',
    ['hex', id],
  );
  expect(await validate('verified')).toEqual([]);
});

test('a row that is missing, one too many, and one under another key', async () => {
  await database.exec(`
    delete from invoice where id = 100;
    insert into invoice values (30000, 1, 1, '');
    update invoice set id = 40000 where id = 200`);
  const digest = (await validate('findings')).find(({ check }) => check === 'digest');
  const problems = digest!.details as { key: { id: string }; problem: string }[];
  expect(problems.map(({ key, problem }) => `${key.id} ${problem}`).sort()).toEqual([
    '100 missing',
    '200 missing',
    '30000 surplus',
    '40000 surplus',
  ]);
});

test('an unfinished validation stands in nobody’s way', async () => {
  await target.stopFleets();
  const first = await target.start(source, plan, 'validate');
  const second = await target.start(source, plan, 'validate');
  target.startFleet();
  await Promise.all([target.ended(first, 'findings'), target.ended(second, 'findings')]);
});
