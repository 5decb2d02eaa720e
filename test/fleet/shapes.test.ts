import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cancelFlow } from '../../src/control/cancel-flow.ts';
import { pauseRun, resumeFlow } from '../../src/control/pause.ts';
import { sendRefused } from '../../src/control/quarantine.ts';
import { type ReloadScope, reload } from '../../src/control/reload.ts';
import { revisePlan } from '../../src/control/revise.ts';
import { readFilledTables } from '../../src/ledger/filled-tables.ts';
import { readOpenFlows } from '../../src/ledger/flows.ts';
import { readQuarantined } from '../../src/ledger/read-quarantine.ts';
import { readRun } from '../../src/ledger/runs.ts';
import { sealFrom } from '../../src/ledger/seal.ts';
import { parsePlan } from '../../src/plan/read/parse.ts';
import { resolvePlan } from '../../src/plan/resolve/resolve.ts';
import { until } from '../fleet-processes.ts';
import { openTarget, type Target, variableOf } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let into: TestDatabase;
let target: Target;

beforeEach(async () => {
  [source, into] = await Promise.all([createDatabase(15), createDatabase(18)]);
});

afterEach(async () => {
  await target.close();
  await Promise.all([source.drop(), into.drop()]);
});

async function migrate(sourceSql: string, targetSql: string, plan: string): Promise<string> {
  await source.exec(sourceSql);
  await into.exec(targetSql);
  target = await openTarget(into);
  target.startFleet();
  return target.start(source, plan);
}

const seal = sealFrom({});
const send = (runId: string, edits: { id: string; targetRows: unknown }[] = []) =>
  sendRefused(
    target.ledger,
    runId,
    { edits: edits.map((edit) => ({ ...edit, at: 'test' })), actor: 'test' },
    seal,
  );
const again = (runId: string, scope: ReloadScope, flow: string) =>
  reload(target.ledger, runId, { scope, flow, deleteVanished: true, actor: 'test' });

/** All rows of a query on the target, as text. */
const held = async (query: string): Promise<string[]> =>
  (await into.query<{ row: string }>(`select t::text as row from (${query}) t order by 1`)).rows.map(
    ({ row }) => row,
  );

const people = `
  create table people (id int primary key, name text, city text);
  insert into people select i, 'n' || i, 'c' || i from generate_series(1, 2000) i;`;
const twoTables = `
  create table person (id int primary key, name text not null);
  create table address (person_id int primary key, city text not null);`;
const twoOutputs = `
name: split
migration: {batch_size: 300}
flows:
  - name: people
    from: people p
    outputs:
      - {to: person, columns: {id: p.id, name: p.name}}
      - {to: address, where: p.id <> 7, columns: {person_id: p.id, city: p.city}}`;

test('a row that several tables refused together is sent again to all of them, and to no one table by an edit', async () => {
  const runId = await migrate(
    `${people} update people set city = null where id in (5, 6)`,
    twoTables,
    twoOutputs,
  );
  await target.ended(runId, 'quarantined');
  const [row] = await readQuarantined(target.ledger.pool, { runId }, seal);
  await expect(
    send(runId, [{ id: row!.id, targetRows: [{ id: '5', name: 'edited' }] }]),
  ).rejects.toMatchObject({
    code: 'EDIT_INVALID',
  });
  await source.exec(`update people set city = 'found' where city is null`);
  await send(runId);
  await target.ended(runId);
  expect(await held('select * from address where person_id in (5, 6, 7)')).toEqual([
    '(5,found)',
    '(6,found)',
  ]);
});

test('what is read together is loaded again together', async () => {
  const runId = await migrate(people, twoTables, twoOutputs);
  await target.ended(runId);
  await source.exec(`
    update people set city = 'moved', name = 'renamed' where id = 4;
    delete from people where id = 9; insert into people values (0, 'new', 'town')`);
  await again(runId, 'whole', 'people');
  await target.ended(runId);
  expect(await held('select * from person join address on person_id = id where id in (0, 4, 9)')).toEqual([
    '(0,new,0,town)',
    '(4,renamed,4,moved)',
  ]);
  await source.exec(`update people set city = 'again' where id < 2`);
  await again(runId, { range: { from: null, to: '2' } }, 'people.address');
  await target.ended(runId);
  expect(await held('select * from address where person_id < 2')).toEqual(['(0,again)', '(1,again)']);
});

const regions = `
  create table region (code text primary key, name text);
  insert into region select 'r' || i, 'name ' || i from generate_series(1, 20) i;
  create table customer (id int primary key, region text, name text);
  insert into customer select i, 'r' || 1 + i % 20, 'c' || i from generate_series(1, 1000) i;`;
const regionTarget = `
  create table region (id int generated always as identity primary key, code text unique, name text);
  create table customer (id uuid primary key, region_id int not null references region, name text not null);`;
const regionPlan = `
name: regions
migration: {batch_size: 200}
id_maps:
  customer: {from: customer c, key: c.id, new: uuid}
flows:
  - {name: region, from: region r, to: region, columns: {code: r.code, name: r.name}}
  - name: customer
    from: customer c
    to: customer
    columns:
      id: {id_map: customer, key: c.id}
      region_id: {lookup: region, by: {code: c.region}, take: id}
      name: c.name`;

test('a key that was not there is looked up again when its row is sent again; what is looked up is loaded again', async () => {
  const runId = await migrate(
    `${regions} update customer set region = 'x' where id = 3`,
    regionTarget,
    regionPlan,
  );
  await target.ended(runId, 'quarantined');
  await source.exec(`update customer set region = 'r2' where id = 3`);
  await send(runId);
  await target.ended(runId);
  const ids = await held('select old_1, new_id from rowfleet.id_map_customer');
  await source.exec(`update customer set name = 'other', region = 'r3' where id = 8`);
  await again(runId, 'whole', 'customer');
  await target.ended(runId);
  expect(
    await held(
      `select c.name, r.code from customer c join region r on r.id = region_id where c.name = 'other'`,
    ),
  ).toEqual(['(other,r3)']);
  await source.exec(`insert into customer values (5000, 'r1', 'late'); delete from customer where id = 1`);
  await again(runId, 'whole', 'id map customer');
  await target.ended(runId, 'findings');
  expect(await held('select old_1, new_id from rowfleet.id_map_customer where old_1 <> 5000')).toEqual(ids);
  await again(runId, 'whole', 'customer');
  await target.ended(runId);
  const validation = await target.start(source, regionPlan, 'validate');
  await target.ended(validation);
});

test('a key that several looked-up rows have is refused where it is looked up, and told as such', async () => {
  const runId = await migrate(
    `create table region (id int primary key, code text);
     insert into region select i, 'r' || i from generate_series(1, 20) i; insert into region values (21, 'r3');
     create table customer (id int primary key, region text);
     insert into customer select i, 'r' || 1 + i % 20 from generate_series(1, 400) i`,
    `create table region (id int primary key, code text unique);
     create table customer (id int primary key, region_id int, region_name text)`,
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
  const refused = await readQuarantined(target.ledger.pool, { runId }, seal);
  expect(refused).toHaveLength(20);
  expect(refused[0]).toMatchObject({
    ...{ code: 'LOOKUP_DOUBLED', stage: 'load', column: 'region_id' },
    message:
      'public.customer: several rows of public.region have the key (code) that region_id is looked up by',
  });
  expect(await held('select count(*) from customer')).toEqual(['(380)']);

  for (const database of [source, into]) await database.exec('delete from region where id = 21');
  await send(runId);
  await target.ended(runId);
  expect(await held('select count(*) from customer where region_id = 3')).toEqual(['(20)']);
});

test('a flow that others look values up in is cancelled behind them; what was cancelled is told how to take up again', async () => {
  const runId = await migrate(regions, regionTarget, regionPlan);
  const run = await readRun(target.ledger.pool, runId);
  for (const flow of ['region', 'customer']) await pauseRun(target.ledger, run, { flow, actor: 'test' });
  const cancel = (flow: string) => cancelFlow(target.ledger, run, flow, 'test');
  await until('the flows are measured', async () => (await held('select 1 from rowfleet.flow')).length > 0);
  await expect(cancel('region')).rejects.toMatchObject({
    code: 'FLOW_AWAITED',
    hint: `cancel that one before: rowfleet cancel ${runId} --flow customer`,
  });
  await cancel('customer');
  await cancel('region');
  const { error } = await target.ended(runId, 'findings');
  expect(error?.hint).toContain(
    `take what was cancelled up again with \`rowfleet resume -c plan.yaml ${runId} --flow region\` and \`rowfleet resume -c plan.yaml ${runId} --flow customer\``,
  );
  expect(error?.hint).not.toContain('--reload');
});

const contacts = `
  create table a (at int primary key, email text, name text, n text);
  insert into a select i, 'e' || i, 'a' || i, '1' from generate_series(1, 3000) i;
  create table b (at int primary key, email text, name text, n text);
  insert into b select 10000 - i, 'e' || i, 'b' || i, '2' from generate_series(2000, 4000) i;`;
const contactPlan = (rule: string) => `
name: contacts
migration: {batch_size: 3000, quarantine_limit: {rows: 1000, ratio: 1}}
flows:
  - {name: a, from: a x, to: contact, columns: {email: x.email, name: x.name, n: "x.n::int"}, on_conflict: ${rule}, conflict_key: [email], order: x.at desc}
  - {name: b, from: b x, to: contact, columns: {email: x.email, name: x.name, n: "x.n::int"}, on_conflict: ${rule}, conflict_key: [email], order: x.at desc}`;

test.each([
  ['update', '(e2500,fresh,7)'],
  ['merge', '(e2500,b2500,2)'],
])(
  'rows that were refused are fused with the others when they are sent again: %s',
  async (rule, expected) => {
    const many = `update a set n = 'bad' where at % 50 = 0; update a set email = null where at in (100, 101)`;
    const runId = await migrate(
      `${contacts} ${many}`,
      'create table contact (email text unique, name text not null, n int not null)',
      contactPlan(rule),
    );
    await target.ended(runId, 'quarantined');
    expect(await held(`select count(*) from rowfleet.quarantine`)).toEqual(['(60)']);
    await source.exec(`update a set n = '7', name = 'fresh' where n = 'bad'`);
    await send(runId);
    await target.ended(runId);
    expect(await held(`select * from contact where email = 'e2500'`)).toEqual([expected]);
    expect(await held(`select * from contact where email = 'e50'`)).toEqual(['(e50,fresh,7)']);
    expect(await held('select * from contact where email is null')).toEqual(['(,a101,1)', '(,fresh,7)']);
    expect(
      await held(`select count(*) from pg_class where relname like 'candidates%' and relkind = 'r'`),
    ).toEqual(['(0)']);
    await expect(again(runId, 'whole', 'a')).rejects.toMatchObject({ code: 'RELOAD_REFUSED' });
  },
);

test('one of several flows that are fused is cancelled; taken up again, the table is fused anew', async () => {
  const runId = await migrate(
    contacts,
    'create table contact (email text unique, name text not null, n int not null)',
    contactPlan('update'),
  );
  const run = await readRun(target.ledger.pool, runId);
  await pauseRun(target.ledger, run, { flow: 'b', actor: 'test' });
  await until('the flows are measured', async () => (await held('select 1 from rowfleet.flow')).length > 0);
  await cancelFlow(target.ledger, run, 'b', 'test');
  await target.ended(runId, 'findings');
  expect(await held(`select * from contact where email in ('e2500', 'e3500')`)).toEqual(['(e2500,a2500,1)']);
  await expect(resumeFlow(target.ledger, run, { flow: 'b', actor: 'test' })).resolves.toBe(
    'took flow b up again; with it a, b start anew',
  );
  await target.resume(runId);
  await target.ended(runId);
  expect(await held(`select * from contact where email in ('e1', 'e2500', 'e3500')`)).toEqual([
    '(e1,a1,1)',
    '(e2500,a2500,1)',
    '(e3500,b3500,2)',
  ]);
});

test('a range of what is computed over whole groups is not loaded again', async () => {
  const runId = await migrate(
    `create table doc (id int primary key, slug text, at int);
     insert into doc select i, 's' || i % 100, i from generate_series(1, 1000) i; create index on doc (slug)`,
    'create table doc (id int primary key, slug text, version int)',
    `
name: versions
flows:
  - name: doc
    from: doc d
    window_by: d.slug
    to: doc
    columns: {id: d.id, slug: d.slug, version: "row_number() over (partition by d.slug order by d.id)::int"}`,
  );
  await target.ended(runId);
  await expect(again(runId, { range: { from: '500', to: '600' } }, 'doc')).rejects.toMatchObject({
    code: 'RELOAD_REFUSED',
  });
});

test('a plan that is revised while its run copies starts again what is read together, and what is fused', async () => {
  const body = (city: string) => `
name: revised
flows:
  - name: people
    from: people p
    outputs:
      - {to: person, columns: {id: p.id, name: p.name}, on_conflict: skip, order: p.id}
      - {to: address, columns: {person_id: p.id, city: ${city}}}
  - {name: other, from: people p, to: other, columns: {id: {lookup: person, by: {id: p.id}, take: id}}}`;
  const runId = await migrate(people, `${twoTables} create table other (id int)`, body('p.city'));
  await pauseRun(target.ledger, await readRun(target.ledger.pool, runId), { flow: 'other', actor: 'test' });
  await until('the others are copied', async () => {
    const open = await readOpenFlows(target.ledger.pool, runId);
    return open.length > 0 && !open.includes('people.person');
  });
  const text = `source: \${${variableOf(source)}}\ntarget: \${${variableOf(into)}}\n${body('upper(p.city)')}`;
  const { plan } = parsePlan(text, join(import.meta.dirname, 'plan.yaml'));
  const request = { ...plan!, allowNonEmpty: true };
  const { resolved, problems } = await resolvePlan(
    request,
    await source.open(),
    await into.open(),
    await readFilledTables(target.ledger.pool),
  );
  expect(problems).toEqual([]);
  const revision = await revisePlan(target.ledger, runId, {
    resolved: resolved!,
    file: 'plan.yaml',
    actor: 'test',
  });
  expect(revision.consequences).toMatchObject([
    { flow: 'people.person', kind: 'restart', together: ['people.address', 'other'] },
  ]);
  await resumeFlow(target.ledger, await readRun(target.ledger.pool, runId), { flow: 'other', actor: 'test' });
  await target.ended(runId);
  expect(await held('select * from address where person_id = 5')).toEqual(['(5,C5)']);
});
