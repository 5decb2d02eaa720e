import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { createDemoSource, demoPlan } from '../../ops/demo/source.ts';
import type { FlowSpec } from '../../src/plan/plan.ts';
import { compareDatabases } from '../compare.ts';
import { createBothShapes, createDemoDatabase, createExpectedDemo, demoTables } from '../demo.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

const databases: TestDatabase[] = [];
let source: TestDatabase;
let expected: TestDatabase;
beforeAll(async () => {
  source = await createDemoDatabase(15);
  expected = await createExpectedDemo(source);
  databases.push(source, expected);
});
afterAll(() => Promise.all(databases.map((database) => database.drop())));

test('the sizes are what createDemoSource says, a tenth of them vectors', async () => {
  const database = await createDatabase(14);
  databases.push(database);
  const sizes = await createDemoSource(await database.open(), { rows: 10_000 });
  for (const [table, rows] of Object.entries(sizes)) {
    const { rows: counted } = await database.query(`select count(*)::int as rows from ${table}`);
    expect({ table, ...counted[0] }).toEqual({ table, rows });
  }
  const total = Object.values(sizes).reduce((sum, rows) => sum + rows, 0);
  expect(total).toBeGreaterThanOrEqual(10_000);
  expect(sizes.chunk_embeddings).toBe(1_000);
});

test('the same seed gives the same rows on 15 and 18, another seed others', async () => {
  const [same, other] = await Promise.all([createDemoDatabase(18), createDemoDatabase(18, { seed: 2 })]);
  databases.push(same!, other!);
  expect(await compareDatabases(source, same!)).toEqual([]);
  const changed = (await compareDatabases(source, other!)).map((line) => line.replace(/: .*/, ''));
  expect([...new Set(changed)]).toEqual(
    ['chunk_embeddings', 'chunk_tags', 'chunks', 'graph_nodes', 'texts'].map((table) => `public.${table}`),
  );
});

test('the hand-written statements fill every table and leave out what is empty', async () => {
  for (const table of demoTables) {
    const { rows } = await expected.query(`select count(*)::int as rows from ${table}`);
    expect(rows[0]!.rows, table).toBeGreaterThan(0);
  }
  const { rows } = await expected.query(
    `select (select count(*)::int from old.chunks where content = '') as empty,
       (select max(depth)::int from chunk_hierarchy) as deepest,
       (select count(*)::int from document_overview) as documents`,
  );
  expect(rows[0]!.empty).toBeGreaterThan(0);
  expect(rows[0]).toMatchObject({ deepest: 4, documents: 400 });
});

test('the plan means the same as the hand-written statements', async () => {
  const plan = parse(await readFile(demoPlan, 'utf8')) as {
    tables: string[];
    flows: (FlowSpec & { to: string; columns: Record<string, string> })[];
  };
  const byPlan = await createBothShapes(source);
  databases.push(byPlan);
  const flows = plan.flows.map(({ from, join = '', where = 'true', to, columns }) => {
    const select = Object.values(columns).map((expression) => `(${expression})`);
    return `insert into public.${to} (${Object.keys(columns)}) select ${select} from ${from} ${join} where ${where};`;
  });
  const tables = plan.tables.map((table) => `insert into public.${table} select * from ${table};`);
  await byPlan.exec(
    `set search_path = old; alter table public.unified_chunks disable trigger user; ${[...tables, ...flows].join('\n')}`,
  );
  expect(await compareDatabases(expected, byPlan, demoTables)).toEqual([]);
});
