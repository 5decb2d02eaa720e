import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { captureObjects } from '../../src/constraints/capture.ts';
import { type Derived, derive } from '../../src/copy/derive/derive.ts';
import type { Scope } from '../../src/copy/derive/scope.ts';
import type { DeriveContext } from '../../src/copy/derive/terms.ts';
import { inTransaction } from '../../src/pg/transaction.ts';
import { compareDatabases, type TablePair } from '../compare.ts';
import { copyFlow, resolveGood } from '../plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let target: TestDatabase;
beforeAll(async () => {
  [source, target] = await Promise.all([createDatabase(15), createDatabase(18)]);
  for (const database of [source, target]) await database.execAsSuperuser('create extension citext');
});
afterAll(() => Promise.all([source.drop(), target.drop()]));

let number = 0;

interface Shape {
  /** `$t` is the table, on both sides. */
  source: string;
  target: string;
  /** The plan's body; by default the table as it is. */
  plan?: string;
  /** What happens to the source after the first load. */
  later?: string;
  /** What happens to the target after the first load. */
  spoil?: string;
}

/** A table of its own on both sides, loaded once, and then changed. */
async function loaded(shape: Shape) {
  const table = `shape_${++number}`;
  const named = (sql: string) => sql.replaceAll('$t', table);
  await source.exec(named(shape.source));
  await target.exec(named(shape.target));
  const plan = await resolveGood(source, target, named(shape.plan ?? 'tables: [$t]'));
  const sessions = { source: await source.open(), target: await target.open() };
  for (const flow of plan.flows) await copyFlow(sessions.source, sessions.target, plan, flow);
  if (shape.later) await source.exec(named(shape.later));
  if (shape.spoil) await target.exec(named(shape.spoil));
  const run = (
    scope: Scope,
    name = plan.flows[0]!.name,
    { rowsBefore = 0, ...more }: Partial<Pick<DeriveContext, 'rowsBefore' | 'down' | 'kept'>> = {},
  ): Promise<Derived> => {
    const flow = plan.flows.find((each) => each.name === name)!;
    const signal = AbortSignal.timeout(30_000);
    const ctx = { plan, transforms: new Map(), flow, ...sessions, signal, onBytes: () => {} };
    return inTransaction(
      sessions.target,
      'read committed',
      () =>
        inTransaction(
          sessions.source,
          'repeatable read, read only',
          () => derive({ ...ctx, rowsBefore, down: [], ...more }, scope),
          { searchPath: plan.source.searchPath },
        ),
      { searchPath: plan.target.searchPath },
    );
  };
  /** Ids whose rows are not the same on both sides. */
  const leftOver = async (): Promise<string[]> => {
    const sides = [source, target].map((side) =>
      side.query<{ id: string; row: string }>(`select id::text, t::text as row from ${table} t`),
    );
    const [from, to] = (await Promise.all(sides)).map((result) => result.rows);
    const has = (rows: { row: string }[], row: string) => rows.some((each) => each.row === row);
    const differing = [
      ...from!.filter(({ row }) => !has(to!, row)),
      ...to!.filter(({ row }) => !has(from!, row)),
    ];
    return [...new Set(differing.map(({ id }) => id))].sort();
  };
  const rows = async (sql: string) => (await target.query(named(sql))).rows;
  return {
    table,
    named,
    derive: run,
    rows,
    leftOver,
    differences: (tables?: TablePair[]) => compareDatabases(source, target, tables ?? [table]),
  };
}

const whole: Scope = { kind: 'whole' };
const everyBlock: Scope = { kind: 'batch', range: { from: null, to: null } };
const between = (from: string | null, to: string | null): Scope => ({ kind: 'range', from, to });
const ids = (...values: unknown[]): Scope => ({
  kind: 'keys',
  keys: values.map((value) => ({ id: String(value) })),
});

const rows = 'insert into $t select i, $$v$$ || i from generate_series(1, 100) i';
const changes = `update $t set v = 'changed' where id in (10, 50); delete from $t where id in (11, 51); insert into $t values (101, 'new'), (0, 'new')`;
const same = (sql: string, more: Partial<Shape> = {}): Shape => ({
  source: `create table $t ${sql}; ${rows}`,
  target: `create table $t ${sql}`,
  later: changes,
  ...more,
});

describe('a scope becomes what its mapping yields', () => {
  test.each<[what: string, scope: Scope, shape: Shape, derived: Partial<Derived>, left: string[]]>([
    [
      'whole',
      whole,
      same('(id int primary key, v text)'),
      { rows: 100, updated: 2, inserted: 2, deleted: 2 },
      [],
    ],
    [
      'a range',
      between('5', '20'),
      same('(id int primary key, v text)'),
      { rows: 14, updated: 1, inserted: 0, deleted: 1 },
      ['50', '51', '0', '101'],
    ],
    [
      'an open range',
      between(null, '20'),
      same('(id int primary key, v text)'),
      { updated: 1, inserted: 1, deleted: 1 },
      ['50', '51', '101'],
    ],
    [
      'keys',
      ids(10, 11, '0101', 7),
      same('(id int primary key, v text)'),
      { rows: 3, updated: 1, inserted: 1, deleted: 1 },
      ['50', '51', '0'],
    ],
    [
      'blocks, which delete nothing',
      everyBlock,
      same('(id int primary key, v text)'),
      { rows: 100, updated: 2, inserted: 2, deleted: 0 },
      ['11', '51'],
    ],
    [
      'an identity that takes no value',
      whole,
      same('(id int generated always as identity primary key, v text)', {
        source: `create table $t (id int primary key, v text); ${rows}`,
      }),
      { updated: 2, inserted: 2, deleted: 2 },
      [],
    ],
    [
      'a generated column',
      whole,
      same('(id int primary key, v text, n int generated always as (length(v)) stored)', {
        source: `create table $t (id int primary key, v text, n int generated always as (length(v)) stored); ${rows}`,
      }),
      { updated: 2, inserted: 2, deleted: 2 },
      [],
    ],
    [
      'a text key',
      between('v1', 'v20'),
      same('(i int, id text primary key, v text)', {
        source: `create table $t (i int, id text primary key, v text); insert into $t select i, 'v' || i, 'x' from generate_series(1, 30) i; insert into $t values (99, 'V15', 'x')`,
        later: `delete from $t where id in ('v12', 'V15', 'v3')`,
      }),
      { rows: 11, deleted: 1 },
      ['V15', 'v3'],
    ],
    [
      'a float key',
      ids('0.1', '-0', 'NaN'),
      same('(id float8 primary key, v text)', {
        source: `create table $t (id float8 primary key, v text); insert into $t values (0.1, 'x'), (0, 'x'), ('NaN', 'x'), (1, 'x')`,
        later: `update $t set id = '-0' where id = 0; delete from $t where id = 0.1; update $t set v = 'y' where id = 'NaN'`,
      }),
      { rows: 2, updated: 2, deleted: 1 },
      [],
    ],
    [
      'a citext key',
      ids('abc', 'NEW'),
      same('(id citext primary key, v text)', {
        source: `create table $t (id citext primary key, v text); insert into $t values ('ABC', 'x'), ('b', 'x')`,
        later: `update $t set id = 'Abc' where id = 'abc'; insert into $t values ('new', 'y')`,
      }),
      { rows: 2, updated: 1, inserted: 1 },
      [],
    ],
    [
      'types that nothing compares',
      whole,
      same('(id int primary key, j json, p point)', {
        source: `create table $t (id int primary key, j json, p point); insert into $t select i, '{"a": 1}', point(i, i) from generate_series(1, 5) i`,
        later: `update $t set j = '{"a":1}' where id = 1; update $t set p = point(0, 0) where id = 2`,
      }),
      { updated: 2, inserted: 0, deleted: 0 },
      [],
    ],
    [
      'numbers that are equal and written differently',
      whole,
      same('(id numeric primary key, v numeric)', {
        source: `create table $t (id numeric primary key, v numeric); insert into $t values (1, 1.0), (2, 2)`,
        later: 'update $t set id = 1.00 where id = 1; update $t set v = 2.00 where id = 2',
      }),
      { updated: 2 },
      [],
    ],
  ])('%s', async (_, scope, shape, expected, left) => {
    const { derive, leftOver } = await loaded(shape);
    expect(await derive(scope)).toMatchObject(expected);
    expect(await leftOver()).toEqual([...left].sort());
    // And once more: nothing is left to do.
    expect(await derive(scope)).toMatchObject({ updated: 0, inserted: 0, deleted: 0 });
  });
});

const joined = `
flows:
  - name: $t
    from: $t d
    join: join $t_tag t on t.item = d.id
    join_rows: any
    where: d.v <> 'hidden'
    to: $t
    columns: {id: d.id, pos: t.pos, v: d.v, tag: t.tag}`;

test('a driving row that yields several rows, fewer, or none any more', async () => {
  const { derive, rows } = await loaded({
    source: `create table $t (id int primary key, v text); create table $t_tag (item int, pos int, tag text);
      insert into $t select i, 'v' from generate_series(1, 9) i;
      insert into $t_tag select i, n, 't' || n from generate_series(1, 9) i, generate_series(1, 3) n`,
    target: 'create table $t (id bigint, pos int, v text, tag text, primary key (id, pos))',
    plan: joined,
    later: `delete from $t_tag where item = 2 and pos = 3; update $t set v = 'hidden' where id = 3; update $t_tag set tag = 'x' where item = 4`,
  });
  expect(await derive(ids(2, 3))).toMatchObject({ rows: 2, updated: 0, inserted: 0, deleted: 4 });
  expect(
    await rows(`select id, count(*)::int as n, min(tag) as tag from $t group by id order by id limit 4`),
  ).toEqual([
    { id: '1', n: 3, tag: 't1' },
    { id: '2', n: 2, tag: 't1' },
    { id: '4', n: 3, tag: 't1' },
    { id: '5', n: 3, tag: 't1' },
  ]);
  expect(await derive(whole)).toMatchObject({ rows: 23, updated: 3, inserted: 0, deleted: 0 });
});

test('a row that moves to another partition goes from the one that it leaves', async () => {
  const { derive, rows, differences } = await loaded({
    source: `create table $t (id int primary key, day date, v text); insert into $t select i, '2024-01-01', 'v' from generate_series(1, 9) i`,
    target: `create table $t (id int, day date, v text, primary key (id, day)) partition by range (day);
      create table $t_old partition of $t for values from ('2024-01-01') to ('2025-01-01');
      create table $t_new partition of $t for values from ('2025-01-01') to ('2026-01-01')`,
    later: `update $t set day = '2025-06-01' where id in (2, 3); update $t set v = 'w' where id = 4`,
  });
  expect(await derive(ids(2, 4))).toMatchObject({ updated: 1, inserted: 1, deleted: 1 });
  expect(await rows('select id from $t_new')).toEqual([{ id: 2 }]);
  expect(await derive(between('3', null))).toMatchObject({ updated: 0, inserted: 1, deleted: 1 });
  expect(await differences()).toEqual([]);
});

const shared = (discriminated: boolean) => `
flows:
  - name: a
    from: $t_a s
    where: s.id > 0
    to: $t
    columns: {id: s.id, kind: ${discriminated ? `"'a'"` : 's.kind'}, v: s.v}
  - name: b
    from: $t_b s
    where: s.id >= 0
    to: $t
    columns: {id: s.id, kind: ${discriminated ? `"'b'"` : 's.kind'}, v: s.v}`;

const twoSources: Pick<Shape, 'source' | 'target'> = {
  source: ['a', 'b']
    .map(
      (kind) =>
        `create table $t_${kind} (id int primary key, kind text default '${kind}', v text); insert into $t_${kind} (id, v) select i, 'v' from generate_series(1, 9) i;`,
    )
    .join(' '),
  target: 'create table $t (id int, kind text, v text, primary key (id, kind))',
};

test('a flow that shares its target deletes none of the other flow’s rows', async () => {
  const { derive, rows } = await loaded({
    ...twoSources,
    plan: shared(true),
    later: 'delete from $t_a where id < 5',
  });
  expect(await derive(between('1', '3'), 'a')).toMatchObject({ rows: 0, deleted: 2 });
  expect(await derive(whole, 'a')).toMatchObject({ rows: 5, deleted: 2 });
  expect(await rows('select kind, count(*)::int as n from $t group by kind order by kind')).toEqual([
    { kind: 'a', n: 5 },
    { kind: 'b', n: 9 },
  ]);
});

describe('refused before anything is touched', () => {
  const plain = '(id int primary key, v text)';
  test.each<[what: string, scope: Scope, shape: Shape, message: RegExp, flow?: string, rowsBefore?: number]>([
    [
      'rows of several flows that nothing keeps apart',
      between('1', '3'),
      { ...twoSources, plan: shared(false) },
      /flow b fills it too/,
      'a',
    ],
    ['rows from before the run', between('1', '3'), same(plain), /held 7 rows before this run/, undefined, 7],
    [
      'a driving table without a key',
      ids(1),
      same(plain, { source: `create table $t (id int, v text); ${rows}` }),
      /has no key to choose rows by/,
    ],
    [
      'a key that the target does not keep',
      ids(1),
      same('(id int, v text primary key)', {
        source: `create table $t ${plain}; ${rows}`,
        plan: 'flows: [{name: f, from: $t d, to: $t, columns: {id: d.id + 1, v: d.v}}]',
      }),
      /no column of it holds id of public\.\S+ unchanged/,
    ],
    [
      'a range of numbers that are text in the target',
      between('1', '3'),
      same('(id text primary key, v text)', { source: `create table $t ${plain}; ${rows}` }),
      /a range of id \(integer\) is not one of id \(text\)/,
    ],
    [
      'blocks of rows without a key',
      everyBlock,
      same('(id int, v text)'),
      /nothing that the flow fills tells its rows apart/,
    ],
  ])('%s', async (_, scope, shape, message, flow, rowsBefore) => {
    const { derive } = await loaded(shape);
    await expect(derive(scope, flow, { rowsBefore })).rejects.toMatchObject({
      code: 'RELOAD_REFUSED',
      message: expect.stringMatching(message),
      hint: expect.any(String),
    });
  });

  test('two driving rows of one target key', async () => {
    const { derive } = await loaded({
      source: `create table $t (id int primary key, k int); insert into $t select i, i from generate_series(1, 9) i`,
      target: 'create table $t (k int primary key, id int)',
      later: 'update $t set k = 4 where id = 5',
    });
    await expect(derive(ids(4, 5))).rejects.toMatchObject({ code: 'KEY_DOUBLED' });
  });
});

describe('a table without a key', () => {
  test('is emptied and filled anew', async () => {
    const { derive, differences } = await loaded(same('(id int, v text)'));
    expect(await derive(whole)).toMatchObject({ rows: 100, inserted: 100, deleted: 100 });
    expect(await differences()).toEqual([]);
  });

  test('keeps the rows of a table that inherits from it', async () => {
    const { derive, rows } = await loaded(
      same('(id int, v text)', {
        spoil: `create table $t_child () inherits ($t); insert into $t_child values (7, 'mine')`,
      }),
    );
    await derive(whole);
    expect(await rows('select id, v from $t_child')).toEqual([{ id: 7, v: 'mine' }]);
    expect(await rows('select count(*)::int as n from only $t')).toEqual([{ n: 100 }]);
  });

  test('is not emptied while another table refers to it', async () => {
    const { derive } = await loaded(
      same('(id int, v text)', {
        target:
          'create table $t (id int unique, v text); create table $t_child (item int references $t (id))',
      }),
    );
    await expect(derive(whole)).rejects.toMatchObject({
      code: 'RELOAD_REFUSED',
      message: expect.stringContaining('_child_item_fkey'),
    });
  });
});

describe('a delete that a foreign key would spread', () => {
  const withChild = (action: string): Shape =>
    same('(id int primary key, v text)', {
      spoil: `create table $t_child (item int references $t ${action}); insert into $t_child values (11), (60)`,
    });

  test.each(['on delete cascade', 'on delete set null', 'on delete set default'])(
    'is refused (%s)',
    async (action) => {
      const { derive, rows } = await loaded(withChild(action));
      await expect(derive(whole)).rejects.toMatchObject({
        code: 'RELOAD_SPREADS',
        message: expect.stringMatching(/referred to by 1 rows, and foreign key shape_\d+_child_item_fkey/),
      });
      expect(await rows('select count(*)::int as n from $t_child where item = 11')).toEqual([{ n: 1 }]);
      // Nothing refers to what has vanished here.
      expect(await derive(between('50', '60'))).toMatchObject({ deleted: 1 });
      expect(await rows('select count(*)::int as n from $t_child')).toEqual([{ n: 2 }]);
    },
  );

  test('is refused while the key is down too', async () => {
    const { table, derive, rows } = await loaded(withChild('on delete cascade'));
    const objects = await captureObjects(await target.open(), [{ schema: 'public', name: table }]);
    const down = objects.filter(({ kind }) => kind === 'foreign key');
    for (const sql of down.flatMap(({ takeDown }) => takeDown)) await target.exec(sql);
    await expect(derive(whole, undefined, { down })).rejects.toMatchObject({
      code: 'RELOAD_SPREADS',
      message: expect.stringContaining('(ON DELETE CASCADE), which is down for the migration,'),
    });
    expect(await rows('select count(*)::int as n from $t where id = 11')).toEqual([{ n: 1 }]);
  });

  test('is refused by the key itself where it spreads nothing', async () => {
    const { derive } = await loaded(withChild(''));
    await expect(derive(whole)).rejects.toMatchObject({ code: '23503' });
  });

  test('passes where all that refers goes too, or is repointed', async () => {
    const { derive, differences } = await loaded({
      source: `create table $t (id int primary key, up int); insert into $t select i, nullif(i - 1, 0) from generate_series(1, 9) i`,
      target: 'create table $t (id int primary key, up int references $t on delete cascade)',
      later: 'delete from $t where id > 7; update $t set up = 1 where id = 4; delete from $t where id = 3',
    });
    expect(await derive(whole)).toMatchObject({ updated: 1, deleted: 3 });
    expect(await differences()).toEqual([]);
  });
});

test('a row that takes over what one that vanished had comes in', async () => {
  const { derive, leftOver } = await loaded(
    same('(id int primary key, v text unique)', {
      later: `delete from $t where id = 5; insert into $t values (200, 'v5')`,
    }),
  );
  expect(await derive(whole)).toMatchObject({ inserted: 1, deleted: 1 });
  expect(await leftOver()).toEqual([]);
});

test('rows that people wrote themselves stay', async () => {
  const { derive, leftOver } = await loaded(
    same('(id int primary key, v text)', {
      spoil: `insert into $t values (777, 'by hand'), (778, 'surplus')`,
    }),
  );
  expect(await derive(whole, undefined, { kept: [{ id: '777', v: 'by hand' }] })).toMatchObject({
    deleted: 3,
  });
  expect(await leftOver()).toEqual(['777']);
});

test('user triggers stay silent, and fire afterwards as before', async () => {
  const { derive, rows, named } = await loaded(
    same('(id int primary key, v text)', {
      spoil: `create function $t_spoil() returns trigger language plpgsql as 'begin if tg_op = ''DELETE'' then return null; end if; new.v := tg_name; return new; end';
        create trigger origin before insert or update or delete on $t for each row execute function $t_spoil();
        create trigger always before insert or update or delete on $t for each row execute function $t_spoil();
        create trigger never before insert or update or delete on $t for each row execute function $t_spoil();
        alter table $t enable always trigger always; alter table $t disable trigger never`,
    }),
  );
  expect(await derive(whole)).toMatchObject({ updated: 2, inserted: 2, deleted: 2 });
  expect(await rows('select v from $t where id in (10, 101) order by id')).toEqual([
    { v: 'changed' },
    { v: 'new' },
  ]);
  const { rows: states } = await target.query(
    `select tgname as name, tgenabled as state from pg_trigger where tgrelid = $1::regclass and not tgisinternal order by 1`,
    [named('$t')],
  );
  expect(states.map(({ name, state }) => `${name} ${state}`)).toEqual(['always A', 'never D', 'origin O']);
});

test('a value that a rule of the target keeps back is noticed', async () => {
  const { derive } = await loaded(
    same('(id int primary key, v text)', { spoil: 'create rule keep as on update to $t do instead nothing' }),
  );
  await expect(derive(whole)).rejects.toMatchObject({
    code: 'ROWS_DIFFER',
    message: expect.stringMatching(/: 2 rows of/),
  });
});
