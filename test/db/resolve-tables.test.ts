import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { applySchema } from '../../src/plan/apply-schema.ts';
import { resolvePlan } from '../../src/plan/resolve/resolve.ts';
import { brief, copyFlow, goodPlan, resolveBody, resolveGood } from '../plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let target: TestDatabase;

const long = 'ä'.repeat(31); // 62 bytes
const hostile = [
  'a b',
  'Quo"te',
  "apos'trophe",
  'CamelCase',
  `${long}x`,
  'select',
  'semi;colon',
  '-- dash',
  'naïve 表',
  'per%cent',
  'back\\slash',
  '$1',
];

const shape = `
  create table plain (id int primary key, name text not null default '', price numeric(6, 2), at timestamptz);
  create table nothing ();
  create table computed (a int, b int generated always as (a * 2) stored);
  create table numbered (id int generated always as identity primary key, v text);
  create table parts (id int, day date) partition by range (day);
  create table "parts 2023" partition of parts for values from ('2023-01-01') to ('2024-01-01');
  create table parts_rest partition of parts default;
  create table parent (id int);
  create table child (extra text) inherits (parent);
  create schema other;
  create table other.plain (id int primary key);
  create table "other.plain" (id int);
  create view seen as select * from plain;
  ${hostile.map((name) => `create table "${name.replaceAll('"', '""')}" ("${name.replaceAll('"', '""')}" int, "order" text)`).join(';\n')};
`;

beforeAll(async () => {
  [source, target] = await Promise.all([createDatabase(14), createDatabase(18)]);
  await source.exec(shape);
  await target.exec(shape);
  await source.exec(`
    insert into plain select i, 'n' || i, i / 3.0, 'epoch'::timestamptz + i * interval '1 day' from generate_series(1, 500) i;
    insert into nothing select from generate_series(1, 7);
    insert into computed (a) select i from generate_series(1, 5) i;
    insert into numbered (v) values ('a'), ('b');
    insert into parts select i, date '2023-12-25' + i from generate_series(1, 20) i;
    insert into parent values (1), (2);
    insert into child values (3, 'x');
    ${hostile.map((name) => `insert into "${name.replaceAll('"', '""')}" values (1, 'one'), (2, null)`).join(';\n')};
  `);
});

afterAll(async () => {
  await Promise.all([source.drop(), target.drop()]);
});

describe('tables: "*"', () => {
  test('copies every table under its name, whatever the name', async () => {
    const resolved = await resolveGood(source, target, 'tables: "*"');
    const names = resolved.flows.map(({ target: table }) => `${table.schema}.${table.name}`);
    const expected = [
      'plain',
      'nothing',
      'computed',
      'numbered',
      'parts',
      'parent',
      'child',
      'other.plain',
      ...hostile,
    ];
    expect(names.toSorted()).toEqual([...expected.map((name) => `public.${name}`), 'other.plain'].toSorted());
    expect(resolved.flows.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['plain', 'a b', 'other.plain', '"other.plain"']),
    );

    const [from, to] = [await source.open(), await target.open()];
    for (const flow of resolved.flows) await copyFlow(from, to, resolved, flow);
    for (const { target: table } of resolved.flows) {
      const look = `select to_jsonb(t)::text as row from "${table.schema}"."${table.name.replaceAll('"', '""')}" t order by 1`;
      expect((await target.query(look)).rows, table.name).toEqual((await source.query(look)).rows);
    }
    expect((await target.query('select from nothing')).rowCount).toBe(7);
    expect((await target.query('select from only parent')).rowCount).toBe(2);
    expect((await target.query('select from child')).rowCount).toBe(1);
  });

  test('goes leaf by leaf, and keeps inheritance children apart', async () => {
    const resolved = await resolveGood(source, target, 'tables: "*"\nallow_non_empty: true');
    const flow = (name: string) => resolved.flows.find((each) => each.name === name)!;
    expect(
      flow('parts')
        .leaves.map(({ name }) => name)
        .toSorted(),
    ).toEqual(['parts 2023', 'parts_rest']);
    expect(flow('parts').reads.map(({ name }) => name)).toEqual(['parts', 'parts 2023', 'parts_rest']);
    expect(flow('parent')).toMatchObject({ only: true, leaves: [{ name: 'parent' }] });
    expect(flow('computed').columns.map(({ name }) => name)).toEqual(['a']);
    expect(flow('plain').format).toBe('binary');
    const targets = Object.fromEntries(
      resolved.targets.map((table) => [`${table.schema}.${table.name}`, table]),
    );
    expect(targets['public.parts']!.only).toBe(false);
    expect(targets['public.parent']!.only).toBe(true);
  });
});

describe('named tables', () => {
  test('are found by their exact name, as SQL or with their schema', async () => {
    const body = `tables: [CamelCase, '"a b"', a b2, PLAIN, other.plain, seen]`.replace(', a b2', '');
    await target.exec('create table if not exists seen_copy ()');
    const { problems } = await resolveBody(source, target, `${body}\nallow_non_empty: true`);
    expect(problems.map(brief)).toEqual([
      '3 tables[4] error: public.seen is a view in the target | Rows can only be loaded into tables.',
    ]);
  });

  test('that are missing get the nearest name', async () => {
    const { problems } = await resolveBody(
      source,
      target,
      'tables:\n  - plan\n  - Child\n  - wholly unknown\nallow_non_empty: true',
    );
    expect(problems.map(brief)).toEqual([
      '4 tables[0] error: there is no table plan in the source | Did you mean plain?',
      expect.stringContaining('6 tables[2] error: there is no table wholly unknown in the source | '),
    ]);
  });

  test('an inherited table alone brings the rows of its children', async () => {
    const resolved = await resolveGood(source, target, 'tables: [parent]\nallow_non_empty: true');
    expect(resolved.flows[0]).toMatchObject({ only: false });
    expect(resolved.flows[0]!.leaves.map(({ name }) => name)).toEqual(['parent', 'child']);
  });

  test('differences in shape are all reported', async () => {
    const [from, to] = await Promise.all([createDatabase(15), createDatabase(15)]);
    await from.exec(
      'create table t (a int, b text, c timestamp, d numeric, gone int); create table u (x int)',
    );
    await to.exec(`create table t (a int, b int, c timestamptz, d numeric(5, 1), must int not null, maybe int, own int generated always as identity);
      create table u (x int, y int); insert into u values (1)`);
    const { problems } = await resolveBody(from, to, 'tables:\n  - t\n  - u');
    expect(problems.map(brief).map((line) => line.split(' | ')[0])).toEqual([
      expect.stringMatching(/^4 tables\[0\] error: text does not go into b, which is integer/),
      expect.stringMatching(/^4 tables\[0\] error: timestamp without time zone does not go into c/),
      expect.stringMatching(
        /^4 tables\[0\] warning: numeric into numeric\(5,1\): what does not fit is rounded/,
      ),
      '4 tables[0] error: public.t has no column gone in the target',
      '4 tables[0] error: must of public.t is NOT NULL and gets no value',
      '4 tables[0] warning: public.t has columns that the source lacks: must, maybe, own',
      '5 tables[1] warning: public.u has columns that the source lacks: y',
      '5 tables[1] error: public.u holds rows in the target',
    ]);
    // Whoever empties what another run fills destroys its rows.
    const filling = new Map([['public.u', { id: '7', name: 'other', key: [], uniqueKeys: [] }]]);
    const filled = await resolvePlan(goodPlan('tables: [u]'), await from.open(), await to.open(), filling);
    expect(filled.problems.map(brief)).toContainEqual(
      expect.stringMatching(
        /error: run 7 of plan "other" is unfinished and fills public.u too \| .*cancel 7/,
      ),
    );
    const allowed = await resolveBody(from, to, 'tables: [u]\nallow_non_empty: true');
    expect(allowed.resolved?.allowNonEmpty).toBe(true);
    const backup = await resolveBody(
      from,
      to,
      'tables: [u]\nallow_non_empty: true\nmigration:\n  backup_before_migrate: true',
    );
    expect(backup.problems.map(brief).join()).toMatch(
      /6 migration\.backup_before_migrate error: .* is not built yet/,
    );
    await Promise.all([from.drop(), to.drop()]);
  });

  test('a table cannot be copied into itself', async () => {
    const { problems } = await resolveBody(target, target, 'tables: [child]\nallow_non_empty: true');
    expect(problems.map(brief).join()).toMatch(/public\.child would be read and filled at once/);
  });
});

test('tables that only an open transaction of the target holds are resolved in it', async () => {
  const empty = await createDatabase(18);
  const [from, to] = [await source.open(), await empty.open()];
  await to.query('begin');
  await to.query(
    'create table public.plain (id int primary key, name text, price numeric(6, 2), at timestamptz)',
  );
  const { resolved, problems } = await resolvePlan(goodPlan('tables: [plain]'), from, to);
  expect(problems).toEqual([]);
  expect(resolved?.flows).toHaveLength(1);
  await applySchema(to, goodPlan('tables: [plain]'));
  await to.query('rollback');
  const after = await resolvePlan(goodPlan('tables: [plain]'), from, to);
  expect(after.problems.map(brief).join()).toMatch(/there is no table public\.plain in the target/);
  await empty.drop();
});
