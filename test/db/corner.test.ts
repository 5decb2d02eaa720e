import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CornerContext, CorneredUnit } from '../../src/copy/corner/context.ts';
import { corner } from '../../src/copy/corner/corner.ts';
import { sweep } from '../../src/copy/corner/sweep.ts';
import { inTransaction } from '../../src/pg/transaction.ts';
import { blockRange, type TidRange } from '../../src/plan/statements/select.ts';
import { handMadePlan } from '../hand-made-plan.ts';
import { emptyPlan } from '../ledger.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

const rows = 3000;

const sourceSql = `
  create table item (id int primary key, name text, note text, n int, tag text, code text, divisor int);
  insert into item select i, 'n' || i, 'x', i, 'ab', i::text, 1 from generate_series(1, ${rows}) i;
  update item set name = repeat('long', 10) where id % 7 = 0;
  update item set note = null where id % 11 = 0;
  update item set n = -n where id % 13 = 0;
  update item set tag = 'abcdef' where id % 17 = 0;
  update item set code = '5' where id % 500 = 6;
  update item set note = 'raise' where id % 1000 = 1;
  update item set divisor = 0 where id % 1000 = 2`;

// Kept keys, and a trigger that no rule of the catalog tells of.
const targetSql = `
  create domain short as text check (length(value) < 3);
  create table item (id int, name varchar(12), note text not null, n int constraint positive check (n > 0), tag short,
    code text constraint item_code unique deferrable initially deferred, made timestamptz default now() check (made > '2000-01-01'));
  create function refuse() returns trigger language plpgsql as
    'begin if new.note = ''raise'' then raise exception ''no''; end if; return new; end';
  create trigger refuse before insert on item for each row execute function refuse()`;

const flow = handMadePlan([
  {
    from: 'item i',
    to: 'item',
    columns: {
      id: ['i.id / i.divisor', 'integer'],
      name: 'i.name',
      note: 'i.note',
      n: ['i.n', 'integer'],
      tag: 'i.tag',
      code: 'i.code',
    },
  },
]).flows[0]!;

// Three rows of one code: the first lacks what it refers to. Enough others are refused for a sweep before it comes to them.
const linkSql = `
  create table link (id int primary key, code text, parent int, note text);
  insert into link select i, case when i in (1985, 1986, 1987) then 'same' else i::text end, case when i = 1985 then 7 end,
    case when i % 9 > 0 then 'x' end from generate_series(1, 2000) i`;

const linkTargetSql = `
  create table parent (id int primary key);
  create table link (id int primary key, code text unique, parent int references parent, note text not null)`;

const linkFlow = handMadePlan([
  {
    from: 'link l',
    to: 'link',
    columns: { id: ['l.id', 'integer'], code: 'l.code', parent: ['l.parent', 'integer'], note: 'l.note' },
  },
]).flows[0]!;

const byTypes = 'id % 7 = 0 or id % 17 = 0';
const byRules = `id % 11 = 0 or id % 13 = 0 or id % 500 = 6`;
const otherwise = 'id % 1000 in (1, 2)';

describe.each([[14], [18]] as const)('PostgreSQL %i', (version) => {
  let source: TestDatabase;
  let target: TestDatabase;

  beforeAll(async () => {
    [source, target] = await Promise.all([createDatabase(version), createDatabase(version)]);
    await source.exec(`${sourceSql}; ${linkSql}`);
    await target.exec(`${targetSql}; ${linkTargetSql}`);
  });

  afterAll(() => Promise.all([source.drop(), target.drop()]));

  /** Runs `fn` in the two transactions that a batch has, and keeps what the target took. */
  async function inBatch<T>(fn: (ctx: CornerContext, range: TidRange) => Promise<T>): Promise<T> {
    const [from, to] = [await source.open(), await target.open()];
    const plan = { ...emptyPlan, flows: [flow] };
    const ctx = {
      plan,
      transforms: new Map(),
      claim: { runId: '1' },
      flow,
      source: from,
      target: to,
      signal: new AbortController().signal,
      onBytes: () => {},
    };
    const range = blockRange(flow.leaves[0]!, 0, null);
    return inTransaction(
      to,
      'read committed',
      () =>
        inTransaction(from, 'repeatable read, read only', () => fn({ ...ctx, most: rows }, range), {
          searchPath: ['public'],
        }),
      { searchPath: ['public'] },
    );
  }

  const idsOf = async (where: string): Promise<number[]> =>
    (await source.query(`select id from item where ${where} order by id`)).rows.map(({ id }) => id);

  const idsAt = async (refused: CorneredUnit[]): Promise<number[]> =>
    idsOf(`ctid = any ('{${refused.map(({ at }) => `"${at}"`).join(',')}}')`);

  test('a sweep names what the source, types, NOT NULL, CHECK and unique keys refuse, and no other row', async () => {
    const found = await inBatch((ctx, range) => sweep(ctx, [range]));
    expect(await idsAt(found)).toEqual(await idsOf(`${byTypes} or ${byRules} or divisor = 0`));
    const reasons = new Set(found.map(({ refusal }) => `${refusal.stage} ${refusal.message}`));
    expect([...reasons].sort()).toEqual([
      'constraint check violation (SQLSTATE 23514): table public.item, column tag',
      'constraint check violation (SQLSTATE 23514): table public.item, constraint positive',
      'constraint not-null violation (SQLSTATE 23502): table public.item, column note',
      'constraint unique violation (SQLSTATE 23505): table public.item, constraint item_code',
      'extract division by zero (SQLSTATE 22012)',
      'load string too long for its type (SQLSTATE 22001): table public.item, column name',
    ]);
  });

  test('a deferred key refuses a row at once, not all of the batch at its commit', async () => {
    const sane = { ...flow, where: 'i.id in (5, 6, 8, 9)' };
    await target.exec('truncate item');
    const { refused, rowsIn } = await inBatch((ctx, range) => corner({ ...ctx, flow: sane }, range));
    expect(await idsAt(refused)).toEqual([6]);
    expect(rowsIn).toBe(3);
    await target.exec('truncate item');
  });

  test('many refused rows of a batch are all found, and every other row is loaded', async () => {
    const { refused, rowsIn, rowsOut } = await inBatch(corner);
    const bad = await idsOf(`${byTypes} or ${byRules} or ${otherwise}`);
    expect(bad.length).toBeGreaterThan(900);
    expect(await idsAt(refused)).toEqual(bad);
    expect(refused).toHaveLength(bad.length);
    expect({ rowsIn, rowsOut }).toEqual({ rowsIn: rows - bad.length, rowsOut: rows - bad.length });
    const loaded = (await target.query('select id from item order by id')).rows.map(({ id }) => id);
    expect(loaded).toEqual(await idsOf(`not (${byTypes} or ${byRules} or ${otherwise})`));
    const stages = new Set(refused.map(({ refusal }) => `${refusal.side} ${refusal.stage}`));
    expect([...stages].sort()).toEqual(['source extract', 'target constraint', 'target load']);
  });

  test('a row that stands behind one of the same key is loaded where that one is refused', async () => {
    const { refused } = await inBatch((ctx) =>
      corner({ ...ctx, flow: linkFlow }, blockRange(linkFlow.leaves[0]!, 0, null)),
    );
    expect(refused.filter(({ refusal }) => refusal.code !== '23502')).toHaveLength(2);
    const { rows: same } = await target.query(`select id from link where code = 'same'`);
    expect([[{ id: 1986 }], [{ id: 1987 }]]).toContainEqual(same);
  });
});
