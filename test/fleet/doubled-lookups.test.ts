import { afterEach, beforeEach, expect, test } from 'vitest';
import { sendRefused } from '../../src/control/quarantine.ts';
import { readQuarantined } from '../../src/ledger/read-quarantine.ts';
import { sealFrom } from '../../src/ledger/seal.ts';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let into: TestDatabase;
let target: Target;

beforeEach(async () => {
  [source, into] = (await Promise.all([createDatabase(15), createDatabase(18)])) as [
    TestDatabase,
    TestDatabase,
  ];
});

afterEach(async () => {
  await target.close();
  await Promise.all([source.drop(), into.drop()]);
});

test('a key that several looked-up rows have is refused where it is looked up, and told as such', async () => {
  await source.exec(`
    create table region (id int primary key, code text);
    insert into region select i, 'r' || i from generate_series(1, 20) i; insert into region values (21, 'r3');
    create table customer (id int primary key, region text);
    insert into customer select i, 'r' || 1 + i % 20 from generate_series(1, 400) i`);
  await into.exec(`
    create table region (id int primary key, code text unique);
    create table customer (id int primary key, region_id int, region_name text)`);
  target = await openTarget(into);
  target.startFleet();
  const runId = await target.start(
    source,
    `
name: regions
migration: {quarantine_limit: {ratio: 1}}
flows:
  - {name: region, from: region r, to: region, columns: {id: r.id, code: r.code}}
  - name: customer
    from: customer c
    to: customer
    columns:
      id: c.id
      region_id: {lookup: region, by: {code: c.region}, take: id}
      region_name: {lookup: region, by: {code: c.region}, take: code, missing: null}`,
  );
  await target.ended(runId, 'findings');
  const [finding, ...others] = await target.findings(runId);
  expect(finding!.summary).toBe(
    'unique region_code_key on public.region cannot be built: 1 keys occur more than once',
  );
  expect(others.map(({ check }) => check)).toEqual(['duplicates']);
  const seal = sealFrom({});
  const refused = await readQuarantined(target.ledger.pool, { runId }, seal);
  expect(refused).toHaveLength(20);
  expect(refused[0]).toMatchObject({
    ...{ code: 'LOOKUP_DOUBLED', stage: 'load', column: 'region_id' },
    message:
      'public.customer: several rows of public.region have the key (code) that region_id is looked up by',
  });
  expect((await into.query('select count(*)::int as n from customer')).rows).toEqual([{ n: 380 }]);

  for (const database of [source, into]) await database.exec('delete from region where id = 21');
  await sendRefused(target.ledger, runId, { actor: 'test' }, seal);
  await target.ended(runId);
  expect((await into.query('select count(*)::int as n from customer where region_id = 3')).rows).toEqual([
    { n: 20 },
  ]);
});
