import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Session } from '../../src/pg/session.ts';
import type { ResolvedPlan } from '../../src/plan/resolved-plan.ts';
import { runCheck } from '../../src/validate/run-check.ts';
import type { CheckOutcome } from '../../src/validate/types.ts';
import { handMadePlan, sameColumns } from '../hand-made-plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

const rows = 3000;
const ddl = `create table item (
  id bigint primary key, name text, amount numeric, at timestamptz, day timestamp, photo bytea, ratio float8,
  code char(6), tags int[], doc jsonb, raw json, big bigint, span interval)`;
const fill = `insert into item
  select g, 'name ' || g, g * 1.10, '2024-01-01 00:00+00'::timestamptz + g * interval '1 hour',
    '2024-01-01'::timestamp + g * interval '1 minute', decode(md5(g::text), 'hex'), g / 7.0, 'c' || g,
    array[g, g + 1], jsonb_build_object('g', g), '{"a":  1}', g, '30 days'
  from generate_series(1, ${rows}) g;
  update item set name = '' where id = 5; update item set name = null where id = 6;
  update item set ratio = 0 where id = 7; update item set big = -1 where id = 8`;

let source: TestDatabase;
let target: TestDatabase;
let sourceSession: Session;
let targetSession: Session;
let keyed: ResolvedPlan;
let keyless: ResolvedPlan;

beforeAll(async () => {
  [source, target] = await Promise.all([createDatabase(15), createDatabase(18)]);
  await Promise.all([source, target].map((database) => database.exec(`${ddl}; ${fill}`)));
  await target.exec('alter table item drop constraint item_pkey');
  [sourceSession, targetSession] = await Promise.all([source.open(), target.open()]);
  const columns = await sameColumns(target, 'item', 'i');
  keyed = handMadePlan([{ from: 'item i', to: 'item', columns }], { item: ['id'] });
  keyless = handMadePlan([{ from: 'item i', to: 'item', columns }]);
});
afterAll(() => Promise.all([source?.drop(), target?.drop()]));

const relation = { schema: 'public', name: 'item' };

async function digest(plan = keyed, before: Record<string, number> = {}): Promise<CheckOutcome> {
  const context = { source: sourceSession, target: targetSession, plan, before };
  return runCheck(context, { check: 'digest', relation });
}

/** Runs the check with the target changed, then changes it back. */
async function withFault(
  fault: string,
  check: () => Promise<CheckOutcome> = () => digest(),
): Promise<CheckOutcome> {
  await target.exec(`create table kept as table item; ${fault}`);
  try {
    return await check();
  } finally {
    await target.exec('truncate item; insert into item table kept; drop table kept');
  }
}

const key = (id: number) => ({ id: String(id) });

describe('the digest of equal tables', () => {
  test.each([
    ['with a key', () => keyed],
    ['without a key', () => keyless],
  ])('%s finds nothing and says what it looked at', async (_, plan) => {
    const outcome = await digest(plan());
    expect(outcome.findings).toEqual([]);
    expect(outcome).toMatchObject({
      rows,
      evidence: { expected: rows, found: rows, differingBuckets: 0, columns: 13, columnsNotCompared: 0 },
    });
    expect(outcome.evidence.buckets).toBeGreaterThan(1);
  });
});

describe('the digest names', () => {
  test.each([
    ['one flipped byte', 'photo', 'set photo = set_byte(photo, 3, get_byte(photo, 3) # 1) where id = 9'],
    ["'' for NULL", 'name', "set name = '' where id = 6"],
    ['NULL for an empty text', 'name', 'set name = null where id = 5'],
    ['a shifted time zone', 'at', "set at = at + interval '2 hours' where id = 9"],
    ['a shifted local time', 'day', "set day = day - interval '1 hour' where id = 9"],
    ['the scale of a number', 'amount', 'set amount = round(amount, 1) where id = 10'],
    ['NaN for a number', 'amount', "set amount = 'NaN' where id = 9"],
    ['-0 for 0', 'ratio', "set ratio = '-0' where id = 7"],
    ['a float off by one bit', 'ratio', "set ratio = float8 '1.285714285714286' where id = 9"],
    ['a bigint read as unsigned', 'big', 'set big = 4294967295 where id = 8'],
    ['blanks lost in a code', 'code', "set code = 'c 9' where id = 9"],
    ['bounds of an array', 'tags', "set tags = '[0:1]={9,10}' where id = 9"],
    ['an empty document', 'doc', "set doc = '[]' where id = 9"],
    ['spacing of json', 'raw', `set raw = '{"a": 1}' where id = 9`],
    ['30 days as a month', 'span', "set span = '1 month' where id = 9"],
    ['case of a text', 'name', 'set name = upper(name) where id = 9'],
  ])('%s', async (_, column, change) => {
    const id = Number(/id = (\d+)/.exec(change)![1]);
    const value = `select ${column}::text as v from public.item where id = ${id}`;
    const expected = (await sourceSession.query(value)).rows[0].v;
    let found = expected;
    const outcome = await withFault(`update item ${change}`, async () => {
      found = (await targetSession.query(value)).rows[0].v;
      return digest();
    });
    expect(found).not.toBe(expected);
    expect(outcome.findings).toEqual([
      {
        check: 'digest',
        relation,
        summary: 'public.item: rows differ from what the source yields: 1 different',
        details: [{ key: key(id), column, problem: 'different', expected, found }],
      },
    ]);
  });

  test('only the differing place of a long value', async () => {
    const long = (last: string) => `repeat('x', 5000) || '${last}' || repeat('y', 5000)`;
    await source.exec(`update item set name = ${long('a')} where id = 12`);
    const outcome = await withFault(`update item set name = ${long('b')} where id = 12`);
    await source.exec("update item set name = 'name 12' where id = 12");
    const around = (last: string) => `…${'x'.repeat(40)}${last}${'y'.repeat(159)}…`;
    expect(outcome.findings[0]!.details).toEqual([
      { key: key(12), column: 'name', problem: 'different', expected: around('a'), found: around('b') },
    ]);
  });

  test('a difference that lies too far behind to be shown', async () => {
    const long = (last: string) => `repeat('x', 9000) || '${last}'`;
    await source.exec(`update item set name = ${long('a')} where id = 12`);
    const outcome = await withFault(`update item set name = ${long('b')} where id = 12`);
    await source.exec("update item set name = 'name 12' where id = 12");
    const same = `${'x'.repeat(200)}… (equal in the first 8192 characters)`;
    expect(outcome.findings[0]!.details).toEqual([
      { key: key(12), column: 'name', problem: 'different', expected: same, found: same },
    ]);
  });

  test('values swapped between two rows', async () => {
    const swap = `update item set name = case id when 11 then 'name 12' else 'name 11' end where id in (11, 12)`;
    const outcome = await withFault(swap);
    expect(outcome.findings[0]!.details).toEqual(
      expect.arrayContaining([
        { key: key(11), column: 'name', problem: 'different', expected: 'name 11', found: 'name 12' },
        { key: key(12), column: 'name', problem: 'different', expected: 'name 12', found: 'name 11' },
      ]),
    );
    expect(outcome.evidence).toMatchObject({ different: 2, missing: 0, surplus: 0, duplicate: 0 });
  });

  test('a doubled and a dropped row', async () => {
    const outcome = await withFault(
      'insert into item select * from item where id = 20; delete from item where id = 21',
    );
    expect(outcome.findings[0]!.summary).toBe(
      'public.item: rows differ from what the source yields: 1 missing, 1 doubled',
    );
    expect(outcome.findings[0]!.details).toEqual(
      expect.arrayContaining([
        { key: key(20), problem: 'duplicate' },
        { key: key(21), problem: 'missing' },
      ]),
    );
  });

  test.each([
    ['doubled rows that became other doubled rows', "('c', 1), ('c', 1), ('b', 2), ('b', 2)"],
    ['doubled rows that swapped their values', "('a', 2), ('a', 2), ('b', 1), ('b', 1)"],
  ])('%s, where nothing tells them apart', async (_, values) => {
    for (const database of [source, target])
      await database.exec('drop table if exists letter; create table letter (l text, n int)');
    await source.exec("insert into letter values ('a', 1), ('a', 1), ('b', 2), ('b', 2)");
    await target.exec(`insert into letter values ${values}`);
    const columns = await sameColumns(target, 'letter', 'l');
    const plan = handMadePlan([{ from: 'letter l', to: 'letter', columns }]);
    const context = { source: sourceSession, target: targetSession, plan, before: {} };
    const spec = { check: 'digest', relation: { schema: 'public', name: 'letter' } } as const;
    const outcome = await runCheck(context, spec);
    expect(outcome.findings[0]!.details).toContainEqual({ key: { l: 'a', n: '1' }, problem: 'missing' });
    const { missing, surplus } = outcome.evidence;
    expect([missing, surplus]).toEqual(values.includes('c') ? [2, 2] : [4, 4]);
  });

  test('a surplus row', async () => {
    const outcome = await withFault("insert into item (id, name) values (-1, 'x')");
    expect(outcome.findings[0]!.details).toEqual([{ key: key(-1), problem: 'surplus' }]);
  });

  test('many differing rows by their number, and the first of them', async () => {
    const outcome = await withFault('update item set big = big + 1; delete from item where id > 2900');
    expect(outcome.evidence).toMatchObject({ different: 2900, missing: 100 });
    expect(outcome.findings[0]!.details).toHaveLength(10);
  });

  test('nothing but the rows: no value stands in the summary', async () => {
    const outcome = await withFault("update item set name = 'secret' where id = 9");
    expect(outcome.findings[0]!.summary).not.toContain('secret');
    expect(outcome.findings[0]!.summary).not.toContain('name');
  });
});

describe('the digest of a table that held rows before', () => {
  const older = "insert into item (id, name) select -g, 'older' from generate_series(1, 50) g";

  test('takes rows of other keys for older ones', async () => {
    const outcome = await withFault(older, () => digest(keyed, { 'public.item': 50 }));
    expect(outcome).toMatchObject({ rows, findings: [], evidence: { contained: 1 } });
  });

  test('still finds a missing and a changed row', async () => {
    const fault = `${older}; delete from item where id = 40; update item set big = 0 where id = 41`;
    const outcome = await withFault(fault, () => digest(keyed, { 'public.item': 50 }));
    expect(outcome.findings[0]!.details).toEqual(
      expect.arrayContaining([
        { key: key(40), problem: 'missing' },
        { key: key(41), column: 'big', problem: 'different', expected: '41', found: '0' },
      ]),
    );
    const without = await withFault(fault, () => digest(keyless, { 'public.item': 50 }));
    expect(without.evidence).toMatchObject({ missing: 2 });
  });
});
