import { readFile } from 'node:fs/promises';
import { afterAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { demoPlan, demoTarget } from '../../ops/demo/source.ts';
import { compareDatabases } from '../compare.ts';
import { createDemoDatabase, createExpectedDemo, demoTables } from '../demo.ts';
import { openTarget } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

const databases: TestDatabase[] = [];
const keep = (database: TestDatabase): TestDatabase => {
  databases.push(database);
  return database;
};
afterAll(() => Promise.all(databases.map((database) => database.drop())));

test('the demo comes out as hand-written statements make it', async () => {
  const source = keep(await createDemoDatabase(15));
  const expected = keep(await createExpectedDemo(source));
  const database = keep(await createDatabase(18));
  await database.exec(await readFile(demoTarget, 'utf8'));
  // Made without data; only one that was populated is refreshed.
  await database.exec('refresh materialized view document_overview');
  const target = await openTarget(database);
  target.startFleet();
  const {
    source: _source,
    target: _target,
    schema: _schema,
    ...plan
  } = parse(await readFile(demoPlan, 'utf8'));
  plan.migration.batch_size = 1_000;
  const runId = await target.start(source, stringify(plan));
  await target.ended(runId);
  expect(await compareDatabases(expected, database, demoTables)).toEqual([]);
  await target.expectCatalogAsBefore();

  const overview = 'select * from document_overview order by id';
  const { rows } = await database.query(overview);
  expect(rows.length).toBeGreaterThan(100);
  expect(rows).toEqual((await expected.query(overview)).rows);
  // Keys given from now on do not meet those that were copied.
  const { rows: given } = await database.query(
    `insert into tags (name) values ('new') returning id > (select max(id) from tags) as free`,
  );
  expect(given).toEqual([{ free: true }]);
  const { rows: batches } = await target.ledger.pool.query(
    `select count(*)::int as n from rowfleet.task where kind = 'batch' and flow = 'bodies' and rows_in > 0`,
  );
  expect(batches[0].n).toBeGreaterThan(1);
  await target.close();
});
