import { afterEach, beforeEach, expect, test } from 'vitest';
import { discardRefused, sendRefused } from '../../src/control/quarantine.ts';
import { readQuarantined } from '../../src/ledger/read-quarantine.ts';
import { sealFrom } from '../../src/ledger/seal.ts';
import { openTarget, type Target } from '../in-process-fleet.ts';
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

const seal = sealFrom({});
const send = (runId: string, ids?: string[]) =>
  sendRefused(target.ledger, runId, { ...(ids && { ids }), actor: 'test' }, seal);

const held = async (query: string): Promise<string[]> =>
  (await into.query<{ row: string }>(`select t::text as row from (${query}) t order by 1`)).rows.map(
    ({ row }) => row,
  );

const candidates = `select relname from pg_class where relname like 'candidates%' and relkind = 'r'`;

async function migrate(plan: string): Promise<string> {
  target = await openTarget(into);
  target.startFleet();
  return target.start(source, plan);
}

const contacts = `
name: contacts
migration: {quarantine_limit: {ratio: 1}}
flows:
  - {name: a, from: a x, to: contact, columns: {email: x.email, phone: x.phone, n: "x.n::int"}, on_conflict: update, conflict_key: [email], order: x.id}`;

test('a row that breaks another key once it is fused goes back into quarantine alone; given up, its candidates go', async () => {
  await source.exec(`
    create table a (id int primary key, email text, phone text, n text);
    insert into a select i, 'e' || i, 'p' || i, case when i % 20 = 0 then 'bad' else '1' end from generate_series(1, 1000) i;
    update a set email = null where id in (40, 41, 60)`);
  await into.exec(
    'create table contact (email text unique, phone text constraint phone unique, n int not null)',
  );
  const runId = await migrate(contacts);
  await target.ended(runId, 'quarantined');
  await source.exec(`
    update a set n = '7' where n = 'bad'; update a set phone = 'p1' where id = 500;
    update a set email = 'e21' where id = 20; update a set phone = 'p22' where id = 60`);
  await send(runId);
  await target.ended(runId, 'quarantined');
  const refused = (await readQuarantined(target.ledger.pool, { runId }, seal)).filter(
    ({ state }) => state === 'held',
  );
  refused.sort((a, b) => Number(a.values!.sourceKey!.id) - Number(b.values!.sourceKey!.id));
  expect(refused.map(({ values, ...row }) => [values!.sourceKey!.id, row.code, row.constraint])).toEqual([
    ['60', '23505', 'phone'],
    ['500', '23505', 'phone'],
  ]);
  expect(refused[1]!.values!.sourceRow).toMatchObject({ phone: 'p1', n: '7' });
  expect(
    await held(
      'select count(*), count(*) filter (where n = 7), count(*) filter (where email is null) from contact',
    ),
  ).toEqual(['(997,47,2)']);
  expect(await held(`select * from contact where email = 'e21'`)).toEqual(['(e21,p21,1)']);

  await source.exec(`update a set phone = 'other' where id = 60`);
  await send(runId, [refused[0]!.id]);
  await target.ended(runId, 'quarantined');
  expect(await held('select n from contact where email is null')).toEqual(['(1)', '(7)', '(7)']);
  // Nobody may send it again once its candidates are gone.
  expect(await held(candidates)).toHaveLength(1);
  await discardRefused(target.ledger, runId, { reason: 'test', actor: 'test' });
  expect(await held(candidates)).toEqual([]);
  await expect(send(runId, [refused[1]!.id])).rejects.toMatchObject({
    ...{ code: 'CANDIDATES_GONE', message: expect.stringContaining('public.contact') },
  });
  await target.resume(runId);
  await target.ended(runId, 'quarantined');
});

const person = (rule: string) => `
name: people
allow_non_empty: true
flows:
  - {name: a, from: a x, to: person, columns: {email: x.email, name: x.name, code: x.id}, on_conflict: ${rule}, conflict_key: [email], order: x.id}
  - {name: b, from: a x, where: x.id > 500, to: person, columns: {email: x.email, name: x.name, code: x.id + 1}, on_conflict: ${rule}, conflict_key: [email], order: x.id}`;

// What each rule may break, what mends it, and the keys.
test.each([
  ['merge', 'name text not null', 'column name', '2 keys', ['e7', 'e8'], 'alter column name drop not null'],
  [
    'merge',
    'name text constraint long check (length(name) > 2)',
    'constraint long',
    '1 key',
    ['e9'],
    'drop constraint long',
  ],
  [
    'skip',
    'name text constraint once unique',
    'constraint once',
    '2 keys',
    ['e11', 'e9'],
    'drop constraint once',
  ],
])(
  'candidates that come to what the target refuses are told by rule, flows and keys: %s, %s',
  async (rule, column, place, count, keys, mend) => {
    await source.exec(`
    create table a (id int primary key, email text, name text);
    insert into a select i, 'e' || i, 'name ' || i from generate_series(1, 1000) i;
    update a set name = null where id in (7, 8); update a set name = 'x' where id in (9, 11)`);
    // Rows that were there before keep its keys up.
    await into.exec(
      `create table person (email text primary key, ${column}, code int); insert into person values ('before', 'before', 0)`,
    );
    if (rule === 'merge') await source.exec(`update a set name = 'long' where id = 11`);
    const runId = await migrate(person(rule));
    await target.ended(runId, 'findings');
    const [finding] = await target.findings(runId);
    expect(finding).toMatchObject({ check: 'build', relation: 'public.person' });
    expect(finding!.summary).toMatch(
      new RegExp(
        `^public.person: what rows of flows a, b with one key become is refused for ${count}, .* ${place}\\. Change`,
      ),
    );
    expect(finding!.details).toEqual(keys.map((email) => ({ key: { email }, problem: 'missing' })));
    await into.exec(`alter table person ${mend}`);
    await target.resume(runId);
    await target.ended(runId);
  },
);
