import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { sendRefused } from '../../src/control/quarantine.ts';
import { reload } from '../../src/control/reload.ts';
import { sealFrom } from '../../src/ledger/seal.ts';
import { explainPlan } from '../../src/plan/explain.ts';
import { until } from '../fleet-processes.ts';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let into: TestDatabase;
let target: Target;
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rowfleet-plan-'));
  vi.stubEnv('ROWFLEET_PLANS', folder);
  [source, into] = await Promise.all([createDatabase(15), createDatabase(18)]);
  await source.exec(
    `create table item (id int primary key, body text); insert into item select i, 'b' || i from generate_series(1, 3000) i`,
  );
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await target.close();
  await Promise.all([source.drop(), into.drop()]);
  rmSync(folder, { recursive: true });
});

const write = (code: string) => writeFileSync(join(folder, 'make.ts'), code);

const planOf = (transform: string, more = '') => `
name: made
migration: {batch_size: 500}
${more}
flows:
  - {name: made, from: item i, to: made, transform: ${transform}, columns: {id: i.id, body: i.body}}`;

async function start(transform = 'make.ts', more = ''): Promise<string> {
  target = await openTarget(into);
  return target.start(source, planOf(transform, more), 'migrate', join(folder, 'plan.yaml'));
}

const rows = async (sql: string) => (await into.query(sql)).rows;

test('rows that the function throws for, or makes wrong, are set aside with the stack; mended, they are sent again', async () => {
  await into.exec('create table made (id int, part int, body text not null, primary key (id, part))');
  write(`
type Item = { id: number; body: string };
const checked = ({ id, body }: Item) => {
  if (body === 'bad') throw new RangeError(\`no such body: \${body} of \${id}\`);
  return body.toUpperCase();
};
export default (item: Item) => {
  const { id } = item;
  if (id % 10 === 0) return null;
  const made = { id, part: 1, body: checked(item) };
  if (item.body === 'number') return { ...made, body: 7 };
  if (item.body === 'key') return [made, { ...made, part: 2, content: 'b' }];
  return id % 7 === 0 ? [made, { ...made, part: 2 }] : made;
};`);
  await source.exec(`
    update item set body = 'bad' where id in (7, 8, 701, 2999);
    update item set body = 'number' where id = 1400 + 1; update item set body = 'key' where id = 2101`);
  const runId = await start();
  target.startFleet();
  await target.ended(runId, 'quarantined');
  const held = await rows(
    `select (convert_from(source_key, 'UTF8')::jsonb ->> 'id')::int as id, stage, code, column_name as "column", message,
       convert_from(trace, 'UTF8') as trace, target_rows from rowfleet.quarantine order by 1`,
  );
  const threw = (id: number) => ({
    ...{ id, stage: 'transform', code: 'TRANSFORM_THREW', column: null, target_rows: null },
    message: 'the transform of made threw RangeError at make.ts:4:29, make.ts:10:37',
    trace: `RangeError: no such body: bad of ${id}\n    at make.ts:4:29\n    at make.ts:10:37`,
  });
  const misfit = (id: number, column: string, message: string) => ({
    ...{ id, stage: 'transform', code: 'TRANSFORM_RESULT', column, trace: null, target_rows: null },
    message: `the transform of made returned ${message}`,
  });
  expect(held).toEqual([
    threw(7),
    threw(8),
    threw(701),
    misfit(1401, 'body', 'a whole number for column body where a string for text is expected'),
    misfit(
      2101,
      'content',
      'a string for column content where only columns that the function fills is expected',
    ),
    threw(2999),
  ]);
  const made = `select id, part, 'B' || id as body from generate_series(1, 3000) id, generate_series(1, case when id % 7 = 0 then 2 else 1 end) part
     where id % 10 > 0`;
  const differ = `select count(*)::int as n from ((${made}) except all table made) d`;
  expect(await rows(differ)).toEqual([{ n: 7 }]);
  expect(await rows(`select count(*)::int as n from made`)).toEqual([{ n: 3086 - 7 }]);

  await source.exec(`update item set body = 'b' || id where body in ('bad', 'number', 'key')`);
  await sendRefused(target.ledger, runId, { actor: 'test' }, sealFrom({}));
  await target.ended(runId);
  expect(await rows(differ)).toEqual([{ n: 0 }]);
  await target.expectCatalogAsBefore();
});

test('a chunk function is called at its rate, and asks id maps; what refuses a chunk is one row of it', async () => {
  await into.exec('create table made (id bigint primary key, calls int, body text)');
  write(`
export const embed = async (items: { id: number; body: string }[], { idMap, constants }) => {
  if (items.some(({ id }) => id === constants.bad)) { await null; throw new Error('one of these'); }
  const ids = await Promise.all(items.map(({ id }) => idMap('items', id)));
  return items.map(({ body }, i) => ({ id: ids[i], body }));
};`);
  const code = 'make.ts#embed';
  const runId = await start(
    `{file: ${code}, chunk: 100, calls_per_second: 200, constants: {bad: 1234}, returns: [id, body]}`,
    'id_maps: {items: {from: item i, key: i.id, new: sequence}}',
  );
  target.startFleet();
  await target.ended(runId, 'quarantined');
  expect(
    await rows(
      `select convert_from(source_key, 'UTF8') as key, code, convert_from(trace, 'UTF8') as trace from rowfleet.quarantine`,
    ),
  ).toEqual([
    { key: '{"id" : "1234"}', code: 'TRANSFORM_THREW', trace: 'Error: one of these\n    at make.ts:3:73' },
  ]);
  expect(
    await rows(
      `select count(*)::int as n, count(*) filter (where m.body = 'b' || old_1 and calls is null)::int as right
         from made m join rowfleet.id_map_items on new_id = m.id`,
    ),
  ).toEqual([{ n: 2999, right: 2999 }]);
});

test('a function that is not the same twice is given up, or is a finding that says so', async () => {
  await into.exec('create table made (id int primary key, body text)');
  write('let n = 0; export default ({ id }: { id: number }) => ({ id, body: String(n++) })');
  const runId = await start();
  target.startFleet();
  const { error } = await target.ended(runId, 'failed');
  expect(error).toMatchObject({
    code: 'TRANSFORM_UNSTABLE',
    message: expect.stringContaining('body differed'),
  });
  await target.cancel(runId);
  await target.ended(runId, 'cancelled');

  // What is asynchronous is called once for each row.
  write('export default async ({ id }: { id: number }) => ({ id, body: String(Math.random()) })');
  const second = await target.start(source, planOf('make.ts'), 'migrate', join(folder, 'plan.yaml'));
  await target.ended(second, 'findings');
  expect((await target.findings(second)).map(({ check, summary }) => [check, summary])).toEqual([
    [
      'digest',
      expect.stringMatching(
        /^public\.made: rows differ .*: make\.ts gave other rows when it was called once more$/,
      ),
    ],
  ]);
});

test('groups go through a function, are explained, and are loaded again', async () => {
  await into.exec('create table sums (k int primary key, total text)');
  write(`export const sum = ({ k, n, bad }: { k: number; n: bigint; bad: boolean }) => {
  if (bad) throw new RangeError('no such group');
  return { k, total: n + ' in all' };
};`);
  await source.exec(`update item set body = 'bad' where id = 24`);
  target = await openTarget(into);
  const plan = `
name: sums
flows:
  - {name: sums, from: item i, group_by: i.id % 10, to: sums, transform: make.ts#sum, columns: {k: i.id % 10, n: sum(i.id), bad: "bool_or(i.body = 'bad')"}}`;
  const runId = await target.start(source, plan, 'migrate', join(folder, 'plan.yaml'));
  target.startFleet();
  await target.ended(runId, 'quarantined');
  expect(
    await rows(`select code, driving::int, convert_from(source_key, 'UTF8')::jsonb as key,
      convert_from(trace, 'UTF8') like 'RangeError: no such group%make.ts%' as traced from rowfleet.quarantine`),
  ).toEqual([{ code: 'TRANSFORM_THREW', driving: 300, key: { 'i.id % 10': '4' }, traced: true }]);
  await source.exec(`update item set body = 'b24' where id = 24`);
  await sendRefused(target.ledger, runId, { actor: 'test' }, sealFrom({}));
  const run = await target.ended(runId);
  const sums = `select id % 10 as k, sum(id) || ' in all' as total from item group by 1 order by 1`;
  const expected = (await source.query(sums)).rows;
  expect(await rows('select * from sums order by k')).toEqual(expected);
  const [explained] = await explainPlan(run.plan, await source.open(), await into.open());
  expect(explained).toMatchObject({
    transform: {
      by: 'make.ts#sum',
      input: [{ name: 'k' }, { name: 'n', from: [{ column: 'id' }] }, { name: 'bad' }],
    },
    columns: [
      { name: 'k', way: 'transform', targetType: 'integer' },
      { name: 'total', way: 'transform', targetType: 'text' },
    ],
  });

  await source.exec('update item set id = -id where id = 7; delete from item where id % 10 = 3');
  await into.exec(`update sums set total = 'otherwise' where k = 1`);
  await reload(target.ledger, runId, { scope: 'whole', actor: 'test', deleteVanished: true });
  await target.ended(runId);
  expect(await rows('select * from sums order by k')).toEqual((await source.query(sums)).rows);
});

test('only a worker whose code is what the plan was checked with calls it; others leave the run', async () => {
  await into.exec('create table made (id int primary key, body text)');
  const code = 'export default ({ id, body }: { id: number; body: string }) => ({ id, body })';
  write(code);
  const runId = await start();
  write(code.replace('{ id, body })', '{ id, body: body + "!" })'));
  target.startFleet();
  const takesNone = () => rows(`select message from rowfleet.event where message like 'takes no tasks: %'`);
  const left = await until('a worker leaves the run', async () => (await takesNone())[0]);
  expect(left.message).toContain(
    `the transform make.ts in ${folder} is not the code that the plan was checked with`,
  );
  expect(await rows('select count(*)::int as n from made')).toEqual([{ n: 0 }]);

  // Another has it elsewhere.
  const elsewhere = mkdtempSync(join(tmpdir(), 'rowfleet-plan-'));
  writeFileSync(join(elsewhere, 'make.ts'), code);
  vi.stubEnv('ROWFLEET_PLANS', elsewhere);
  target.startFleet();
  await target.ended(runId);
  expect(await rows(`select count(*)::int as n from made where body = 'b' || id`)).toEqual([{ n: 3000 }]);
  rmSync(elsewhere, { recursive: true });
});

test('a call that never settles is given up when the run stops, and ends with the time of its batch', async () => {
  await into.exec('create table made (id int primary key, body text not null)');
  await source.exec(`truncate item; insert into item values (1, 'b')`); // One block, which is not halved.
  write('export default async (item: object) => new Promise(() => {});');
  target = await openTarget(into);
  const plan = planOf('make.ts').replace('500', '500, max_retries: 0, timeout_per_batch: 3s');
  const runId = await target.start(source, plan, 'migrate', join(folder, 'plan.yaml'));
  target.startFleet();
  const attempts = (outcome: string) =>
    rows(`select from rowfleet.attempt where outcome is not distinct from ${outcome}`);
  await until('a batch is under way', async () => (await attempts('null')).length === 1);
  await target.stop(runId);
  await until('it is handed back', async () => (await attempts(`'handed back'`)).length === 1, 3);
  await target.resume(runId);
  const { error } = await target.ended(runId, 'failed');
  expect(error).toMatchObject({
    code: 'BATCH_TIMEOUT',
    hint: expect.stringContaining('what a call of its transform waits for does not come'),
  });
});
