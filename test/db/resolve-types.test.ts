import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { display, ident, qualified } from '../../src/pg/quote.ts';
import { inTransaction } from '../../src/pg/transaction.ts';
import type { ResolvedFlow, ResolvedPlan } from '../../src/plan/resolved-plan.ts';
import { fromClause, whereClause } from '../../src/plan/statements/select.ts';
import { brief, copyFlow, resolveBody, resolveGood } from '../plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let target: TestDatabase;

const userTypes = `
  create type mood as enum ('sad', 'ok', 'happy');
  create domain positive as numeric(8, 2) check (value > 0);
  create domain nested as positive;
  create type pair as (a int, b text);
  create type span as range (subtype = float8);
  create collation ignoring (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
`;

/** A type, whether its flow goes in binary, and values that are easily lost. */
const types: [type: string, binary: boolean, digest: string, values: string[]][] = [
  ['bool', true, 'native', ['true', 'false']],
  ['int2', true, 'native', ['-32768', '32767']],
  ['int8', true, 'native', ['-9223372036854775808', '0']],
  ['float4', true, 'text', ["'NaN'", "'-0'", "'Infinity'", '1.1']],
  ['float8', true, 'text', ["'NaN'", "'-0'", "'-Infinity'", '0.1', "'5e-324'"]],
  ['numeric', true, 'numeric', ["'NaN'", '1.0', '1.00', "'Infinity'", '123456789012345678901234567890.123456789']],
  ['numeric(6,2)', true, 'numeric', ["'NaN'", '1.005', '-9999.99']],
  ['money', true, 'text', ["'12.34'"]],
  ['text', true, 'native', ["''", "'a\tb\nc\\d'", "E'\\\\.'", "'ünï'"]],
  ['text collate ignoring', true, 'text', ["'Aa'"]],
  ['varchar(5)', true, 'native', ["'abc  '", "''"]],
  ['char(5)', true, 'text', ["'ab'", "''"]],
  ['"char"', true, 'text', ["'x'"]],
  ['name', true, 'text', ["'n'"]],
  ['bytea', true, 'native', ["'\\x00ff'", "''"]],
  ['date', true, 'native', ["'4713-01-01 BC'", "'infinity'"]],
  ['time(3)', true, 'native', ["'24:00:00'", "'01:02:03.4567'"]],
  ['timetz', true, 'native', ["'01:02:03.456+05:30'"]],
  ['timestamp(0)', true, 'native', ["'2024-01-01 00:00:00.6'", "'-infinity'"]],
  ['timestamptz', true, 'native', ["'0044-03-15 12:00 BC'", "'infinity'"]],
  ['interval', true, 'text', ["'30 days'", "'1 month'", "'-1 year 2 days 3.5 seconds'"]],
  ['interval day to second(1)', true, 'text', ["'1 day 2.34 seconds'"]],
  ['uuid', true, 'native', ["'00000000-0000-0000-0000-000000000001'"]],
  ['json', true, 'text', [`'{"b":  1, "a": 2, "a": 3}'`]],
  ['jsonb', true, 'text', [`'{"b":  1}'`, "'[]'", "'{}'", "'null'"]],
  ['xml', false, 'text', ["'<a>ü</a>'"]],
  ['bit(3)', true, 'text', ["B'101'"]],
  ['varbit', true, 'text', ["B''", "B'1'"]],
  ['inet', true, 'text', ["'10.0.0.1/8'", "'::1'"]],
  ['macaddr8', true, 'text', ["'08:00:2b:01:02:03:04:05'"]],
  ['point', true, 'text', ["'(1,-0)'"]],
  ['path', true, 'text', ["'[(0,0),(1,1)]'", "'((0,0),(1,1))'"]],
  ['tsvector', false, 'text', ["'a:1 b'"]],
  ['int4range', true, 'text', ["'empty'", "'[1,5)'", "'(,)'"]],
  ['nummultirange', false, 'text', ["'{[1.0,2.00),(5,)}'"]],
  ['int4[]', true, 'text', ["'{}'", "'{{1,2},{3,NULL}}'", "'[-1:1]={1,2,3}'"]],
  ['text[]', true, 'text', [`'{"a,b",NULL,"NULL",""}'`]],
  ['numeric(4,1)[]', true, 'text', ["'{1.25,NaN}'"]],
  ['regclass', false, 'text', ["'pg_class'"]],
  ['oid', false, 'text', ['42']],
  ['pg_lsn', false, 'text', ["'0/1'"]],
  ['mood', false, 'text', ["'ok'"]],
  ['mood[]', false, 'text', ["'{sad,happy}'"]],
  ['positive', false, 'text', ['1.005']],
  ['nested', false, 'text', ['2.5']],
  ['pair', false, 'text', [`row(1, 'a,"b')`, 'row(null, null)']],
  ['span', false, 'text', ["'[1,2]'"]],
]; // biome-ignore format: one type a line

const table = (i: number) => `t${i}`;

beforeAll(async () => {
  [source, target] = await Promise.all([createDatabase(15), createDatabase(18)]);
  // Other objects first, so that the same types have other oids.
  await target.exec('create table shift (); create type shift_type as enum ();');
  for (const database of [source, target]) {
    await database.exec(userTypes);
    await database.exec(
      types.map(([type], i) => `create table ${table(i)} (id int primary key, v ${type})`).join(';'),
    );
  }
  await target.exec('drop table shift');
  const rows = types.flatMap(([, , , values], i) =>
    [...values, 'null'].map((value, n) => `insert into ${table(i)} values (${n}, ${value})`),
  );
  await source.exec(rows.join(';'));
});

afterAll(async () => {
  await Promise.all([source.drop(), target.drop()]);
});

/** What the flow's comparison expressions give on the source, against the target's columns, both as text. */
async function expectEqual(
  from: TestDatabase,
  to: TestDatabase,
  plan: ResolvedPlan,
  flow: ResolvedFlow,
): Promise<void> {
  const expected = flow.columns
    .map((column, i) => `(${column.compareExpression}\n)::text as "${i}"`)
    .join(', ');
  const [sourceSession, targetSession] = [await from.open(), await to.open()];
  const { rows: want } = await inTransaction(
    sourceSession,
    'repeatable read, read only',
    () => sourceSession.query(`select ${expected} ${fromClause(flow)} ${whereClause(flow)} order by 1`),
    { searchPath: plan.source.searchPath },
  );
  const columns = flow.columns.map(({ name }, i) => `${ident(name)}::text as "${i}"`).join(', ');
  const { rows: got } = await targetSession.query(
    `select ${columns} from ${qualified(flow.target)} order by 1`,
  );
  expect(want.length).toBeGreaterThan(0);
  expect(got, display(flow.target)).toEqual(want);
}

test('every type arrives as it was, in the format it allows, and compares equal', async () => {
  const resolved = await resolveGood(source, target, 'tables: "*"');
  expect(resolved.flows).toHaveLength(types.length);
  const [from, to] = [await source.open(), await target.open()];
  for (const [i, [type, binary, digest]] of types.entries()) {
    const flow = resolved.flows.find(({ name }) => name === table(i))!;
    expect(`${type} ${flow.format} ${flow.columns[1]!.digest}`).toBe(
      `${type} ${binary ? 'binary' : 'text'} ${digest}`,
    );
    await copyFlow(from, to, resolved, flow);
    await expectEqual(source, target, resolved, flow);
  }
}, 60_000);

/** Source type, target type, source values, and what is said about it (`null`: nothing). */
const conversions: [from: string, to: string, values: string[], said: RegExp | null][] = [
  ['int4', 'int8', ['1', '-1'], null],
  ['int8', 'int2', ['1'], /warning: bigint into smallint: values beyond its range are refused \| A row that is refused is set aside/],
  ['int4', 'numeric(6,0)', ['1'], /integer into numeric\(6,0\): values beyond its range are refused/],
  ['int4', 'numeric(12,2)', ['3'], null],
  ['int4', 'text', ['7'], null],
  ['numeric', 'numeric(6,2)', ['1.005', '2.1'], /: what does not fit is rounded without an error; values beyond its range are refused \| The validator/],
  ['numeric(6,3)', 'numeric(6,2)', ['1.005'], /numeric\(6,3\) into numeric\(6,2\): what does not fit is rounded without an error \|/],
  ['numeric(7,2)', 'numeric(6,2)', ['1.25'], /\(6,2\): values beyond its range are refused/],
  ['numeric(4,2)', 'numeric(6,3)', ['1.25'], null],
  ['numeric(9,4)', 'numeric(9,4)', ['1.0005'], null],
  ['numeric', 'int4', ['1.5', '2.5'], /warning: numeric into integer: fractions are rounded; values beyond its range are refused/],
  ['numeric(4,0)', 'int2', ['9999'], null],
  ['numeric(4,1)', 'int2', ['9.5'], /smallint: fractions are rounded \|/],
  ['float8', 'int8', ['1.5'], /bigint: fractions are rounded; values beyond its range/],
  ['float8', 'numeric(6,2)', ['1.005::float8'], /digits beyond the 15th.* are lost; values beyond/],
  ['numeric', 'float8', ['0.1'], /digits that the type cannot hold/],
  ['float8', 'numeric', ['0.1::float8 + 0.2::float8'], /digits beyond the 15th/],
  ['float8', 'float4', ['0.1'], /digits beyond the 6th/],
  ['timestamp', 'timestamp(0)', ["'2024-01-01 00:00:00.5'", "'2024-01-01 00:00:01.5'"], /what does not fit is rounded/],
  ['timestamp(0)', 'timestamp(3)', ["'2024-01-01 00:00:01'"], null],
  ['timestamp', 'time(0)', ["'2024-01-01 00:00:01.5'"], /the date is lost/],
  ['interval', 'interval(0)', ["'1.5 seconds'"], /what does not fit is rounded/],
  ['date', 'timestamp(0)', ["'2024-01-01'"], null],
  ['timestamp', 'date', ["'2024-01-01 23:00'"], /the time of day is lost/],
  ['text', 'varchar(10)', ["'abc  '"], /text into character varying\(10\): values longer than 10 characters are refused/],
  ['text', 'char(5)', ["'ab '", "'ab'"], /longer than 5 characters/],
  ['varchar(10)', 'varchar(10)', ["'abc  '"], null],
  ['varchar(9)[]', 'varchar(5)[]', ["'{abc}'"], /longer than 5 characters/],
  ['uuid', 'varchar(36)', ["'00000000-0000-0000-0000-000000000001'"], null],
  ['int8', 'varchar(5)', ['12345'], /longer than 5 characters/],
  ['char(5)', 'text', ["'ab'"], /trailing blanks are dropped/],
  ['varchar(3)', 'text', ["'abc'"], null],
  ['json', 'jsonb', [`'{"b": 1, "a": 2}'`], /spacing, order/],
  ['mood', 'text', ["'ok'"], null],
  ['mood', 'varchar(3)', ["'ok'"], /longer than 3 characters/],
  ['mood', 'varchar(5)', ["'ok'"], null],
  ['varbit', 'bit(3)', ["B'101'"], /another length/],
  ['text', 'mood', ["'ok'"], null],
  ['varchar(9)', 'mood[]', ["'{ok}'"], null],
  ['int4[]', 'int8[]', ["'{1,2}'"], null],
  ['numeric', 'positive', ['1.239'], /what does not fit is rounded/],
  ['numeric[]', 'numeric(4,1)[]', ["'{1.25}'"], /what does not fit is rounded/],
  ['float8[]', 'float4[]', ["'{0.1}'"], /digits beyond the 6th/],
  ['timestamptz', 'text', ["'2024-01-01 12:00+02'"], null],
]; // biome-ignore format: one conversion a line

describe('conversions', () => {
  let from: TestDatabase;
  let to: TestDatabase;
  beforeAll(async () => {
    [from, to] = await Promise.all([createDatabase(18), createDatabase(15)]);
    await Promise.all([from.exec(userTypes), to.exec(userTypes)]);
  });
  afterAll(async () => {
    await Promise.all([from.drop(), to.drop()]);
  });

  test.each(conversions)('%s into %s', async (sourceType, targetType, values, said) => {
    await from.exec(
      `drop table if exists t; create table t (v ${sourceType}); insert into t values ${values.map((value) => `(${value})`).join(', ')}, (null)`,
    );
    await to.exec(`drop table if exists t; create table t (v ${targetType})`);
    const { resolved, problems } = await resolveBody(from, to, 'tables: [t]');
    const text = problems.map(brief).join('\n');
    if (said) expect(text).toMatch(said);
    else expect(text).toBe('');
    const [flow] = resolved!.flows;
    await copyFlow(await from.open(), await to.open(), resolved!, flow!);
    await expectEqual(from, to, resolved!, flow!);
    // As the server itself would convert on INSERT.
    await from.exec(
      `drop table if exists w; create table w (v ${targetType}); insert into w select ${sourceType === targetType || !targetType.startsWith('mood') ? 'v' : `v::${targetType}`} from t`,
    );
    const look = (name: string) => `select v::text from ${name} order by 1`;
    expect((await to.query(look('t'))).rows).toEqual((await from.query(look('w'))).rows);
  });

  const refused: [from: string, to: string][] = [
    ['text', 'int4'], ['timestamp', 'timestamptz'], ['timestamptz', 'timestamp'], ['date', 'timestamptz'],
    ['timestamptz', 'date'], ['time', 'timetz'], ['timestamp[]', 'timestamptz[]'], ['bool', 'int4'], ['int4', 'mood'],
    ['bytea', 'uuid'], ['mood', 'int4'], ['pair', 'jsonb'], ['text', 'jsonb'], ['int4[]', 'int4'], ['jsonb', 'pair'],
  ]; // biome-ignore format: a list

  test.each(refused)('%s does not go into %s', async (sourceType, targetType) => {
    await from.exec(`drop table if exists t; create table t (v ${sourceType})`);
    await to.exec(`drop table if exists t; create table t (v ${targetType})`);
    const { problems } = await resolveBody(from, to, 'tables: [t]');
    expect(problems.map(brief).join('\n')).toMatch(
      /^3 tables\[0\] error: .* does not go into v, which is .*: .+ \| .+$/,
    );
  });

  test('a value too long for its column is the target’s to refuse', async () => {
    await from.exec(`drop table if exists t; create table t (v text); insert into t values ('abcdef')`);
    for (const type of ['varchar(3)', 'char(3)']) {
      await to.exec(`drop table if exists t; create table t (v ${type})`);
      const resolved = await resolveGood(from, to, 'tables: [t]');
      const copied = copyFlow(await from.open(), await to.open(), resolved, resolved.flows[0]!);
      await expect(copied).rejects.toThrow(/too long/);
    }
  });

  test('a late value that the target could not hold compares as different, without an error', async () => {
    await from.exec('drop table if exists t; create table t (n numeric, v text, c text, b varbit)');
    await to.exec(
      'drop table if exists t; create table t (n numeric(6, 2), v varchar(3), c char(3), b bit(3))',
    );
    const resolved = await resolveGood(from, to, 'tables: [t]');
    await from.exec(`insert into t values (123456.789, 'abcd', 'abcd', '1010')`);
    const [flow] = resolved.flows;
    const list = flow!.columns
      .map((column) => `(${column.compareExpression}\n)::text as ${column.name}`)
      .join(', ');
    const { rows } = await from.query(`select ${list} ${fromClause(flow!)}`);
    expect(rows).toEqual([{ n: '123456.79', v: 'abcd', c: 'abcd', b: '1010' }]);
  });

  test('labels that the target’s enum lacks are named', async () => {
    await from.exec(`drop table if exists t; create table t (v mood); alter type mood add value 'new'`);
    await to.exec('drop table if exists t; create table t (v mood)');
    const { problems } = await resolveBody(from, to, 'tables: [t]');
    expect(problems.map(brief).join()).toMatch(
      /warning: the target’s public\.mood lacks labels of the source’s: new/,
    );
  });

  test('large objects are refused, oids that are only numbers are not', async () => {
    await from.exec('drop table if exists t; create table t (v oid)');
    await to.exec('drop table if exists t; create table t (v oid)');
    expect((await resolveBody(from, to, 'tables: [t]')).problems).toEqual([]);
    await from.query('select lo_create(4711)');
    expect((await resolveBody(from, to, 'tables: [t]')).problems.map(brief).join()).toMatch(
      /3 tables\[0\] error: the source holds large objects/,
    );
  });
});
