import { afterAll, expect, test } from 'vitest';
import { planChecks } from '../../src/validate/checks.ts';
import { runCheck } from '../../src/validate/run-check.ts';
import type { Finding } from '../../src/validate/types.ts';
import { copyFlow, resolveGood } from '../plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';
import { zooRows, zooTable, zooTypes } from '../type-zoo.ts';

const databases: TestDatabase[] = [];
afterAll(() => Promise.all(databases.map((database) => database.drop())));

/** Copies by a plan, as the resolver has it, and makes every check; `between` is what happens to the target. */
async function copyAndCheck(
  source: TestDatabase,
  target: TestDatabase,
  body: string,
  between = '',
): Promise<Finding[]> {
  const plan = await resolveGood(source, target, body);
  const sessions = { source: await source.open(), target: await target.open() };
  for (const flow of plan.flows) await copyFlow(sessions.source, sessions.target, plan, flow);
  await target.exec(between);
  const findings: Finding[] = [];
  for (const spec of planChecks(plan, 'standard', []))
    findings.push(...(await runCheck({ ...sessions, plan, before: {} }, spec)).findings);
  return findings;
}

async function pair(version: 14 | 15): Promise<[TestDatabase, TestDatabase]> {
  const created = await Promise.all([createDatabase(version), createDatabase(18)]);
  databases.push(...created);
  return created;
}

test.each([14, 15] as const)('a zoo of types that was copied from %i to 18 is equal', async (version) => {
  const [source, target] = await pair(version);
  await source.exec(`${zooTypes("'sad', 'ok'")}; ${zooTable}`);
  await target.exec(`${zooTypes("'ok', 'sad'")}; ${zooTable}`);
  for (const values of zooRows())
    await source.query(`insert into zoo values (${values.map((_, i) => `$${i + 1}`).join(', ')})`, values);
  expect(await copyAndCheck(source, target, 'tables: [zoo]')).toEqual([]);
});

const converted: [from: string, values: string[], to: string][] = [
  ['integer', ['-1', '2147483647'], 'bigint'],
  ['bigint', ['-1', '7'], 'numeric'],
  ['numeric', ['1.005', '-2', 'NaN'], 'numeric(6,2)'],
  ['numeric', ['1.005', '1'], 'money_like'],
  ['numeric[]', ['{1.005,2}'], 'numeric(6,2)[]'],
  ['real', ['0.1', '-0', 'NaN'], 'double precision'],
  ['text', ['ab', '', ' a'], 'character(5)'],
  ['character(3)', ['ab', ''], 'character(5)'],
  ['character(3)', ['ab', ''], 'text'],
  ['character(3)', ['ab', ''], 'bpchar'],
  ['character varying(9)', ['ab ', ''], 'text'],
  ['timestamp with time zone', ['2024-01-01 10:00:00.123456+02', 'infinity'], 'timestamp(0) with time zone'],
  ['timestamp without time zone', ['2024-01-01 10:00:00.5'], 'timestamp(0) without time zone'],
  ['interval', ['1 month 2 days 03:04:05.678'], 'interval(1)'],
  ['date', ['2024-01-01', '-infinity'], 'timestamp without time zone'],
  ['integer[]', ['{1,NULL}', '[0:1]={1,2}', '{}'], 'bigint[]'],
  ['json', ['{"b": 1, "a":2}'], 'jsonb'],
  ['mood', ['sad', 'ok'], 'text'],
  ['text', ['sad', 'ok'], 'mood'],
  ['mood[]', ['{ok,sad}'], 'mood[]'],
  ['uuid', ['00000000-0000-0000-0000-000000000001'], 'text'],
  ['inet', ['10.0.0.1'], 'text'],
  ['boolean', ['t', 'f'], 'text'],
];

test('values that were converted and rounded on their way are equal to what they should be', async () => {
  const [source, target] = await pair(15);
  const types = "create type mood as enum ('sad', 'ok'); create domain money_like as numeric(6,2)";
  const columns = (at: 0 | 2) => converted.map((each, i) => `c${i} ${each[at]}`).join(', ');
  await source.exec(`${types}; create table item (id int primary key, ${columns(0)})`);
  await target.exec(`${types}; create table item (id bigint primary key, ${columns(2)})`);
  for (const id of [0, 1, 2, 3]) {
    const values = [String(id), ...converted.map(([, list]) => list[id] ?? null)];
    await source.query(`insert into item values (${values.map((_, i) => `$${i + 1}`).join(', ')})`, values);
  }
  expect(await copyAndCheck(source, target, 'tables: [item]')).toEqual([]);
});

test('a value that was rounded once more is not', async () => {
  const [source, target] = await pair(15);
  await source.exec('create table item (id int primary key, n numeric); insert into item values (1, 1.005)');
  await target.exec('create table item (id int primary key, n numeric(6,2))');
  const findings = await copyAndCheck(source, target, 'tables: [item]', 'update item set n = 1.0');
  expect(findings.map(({ details }) => details)).toEqual([
    [{ key: { id: '1' }, column: 'n', problem: 'different', expected: '1.01', found: '1.00' }],
  ]);
});
