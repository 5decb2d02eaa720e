import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createDemoSource, type DemoSourceOptions, demoTarget } from '../ops/demo/source.ts';
import type { ServerVersion } from '../ops/embedded/server.ts';
import { createDatabase, type TestDatabase } from './postgres.ts';

const expectedSql = join(import.meta.dirname, 'fleet', 'demo-expected.sql');

/** A database with the demo's old shape. `rows` defaults to 20,000 here. */
export async function createDemoDatabase(
  version: ServerVersion,
  options: DemoSourceOptions = {},
): Promise<TestDatabase> {
  const database = await createDatabase(version);
  await createDemoSource(await database.open(), { rows: 20_000, ...options });
  await database.close();
  return database;
}

/** A clone of a demo source with the old shape in the schema `old`, and the new one, empty, in `public`. */
export async function createBothShapes(source: TestDatabase): Promise<TestDatabase> {
  await source.close();
  const both = await createDatabase(source.version, { template: source.name });
  await both.exec('alter schema public rename to old; create schema public');
  await both.exec(await readFile(demoTarget, 'utf8'));
  return both;
}

/**
 * What a run of the demo's plan must leave in its target, made by hand-written statements: compare with
 * `compareDatabases(expected, target, demoTables)`. Nobody may be connected to `source`.
 */
export async function createExpectedDemo(source: TestDatabase): Promise<TestDatabase> {
  const expected = await createBothShapes(source);
  await expected.exec(await readFile(expectedSql, 'utf8'));
  return expected;
}

/** The tables of the demo's target. */
export const demoTables = [
  'tags',
  'unified_chunks',
  'chunk_hierarchy',
  'unified_chunk_tags',
  'embedding_references',
  'graph_references',
];
