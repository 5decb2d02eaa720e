import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parsePlan } from '../../src/plan/read/parse.ts';
import { resolvePlan } from '../../src/plan/resolve/resolve.ts';
import { runCheck } from '../../src/validate/run-check.ts';
import type { Finding } from '../../src/validate/types.ts';
import { brief, planText, resolveGood } from '../plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

// Everything that a plan may do wrong to a pair of databases, and how it is said: line, path, message | the smallest mend.
// More of names, SQL and types is in resolve-flow, resolve-sql and resolve-types; what the file alone shows in ../unit/plan-wrong.

let source: TestDatabase;
let target: TestDatabase;
let folder: string;

beforeAll(async () => {
  [source, target] = await Promise.all([createDatabase(15), createDatabase(18)]);
  folder = mkdtempSync(join(tmpdir(), 'rowfleet-wrong-'));
  writeFileSync(join(folder, 't.ts'), 'export default (row: object) => row;\n');
  await source.exec(`
    create table people (id int primary key, email text, kind text not null, region int, boss int);
    create table regions (id int primary key, code text not null);
    create table names (person int, lang text, name text not null);
    create table firms (id int primary key, rate numeric(8, 4) unique not null);
    create table account (email text, n int);
    insert into regions values (1, 'n'), (2, 's');
    insert into people values (1, 'a@x', 'user', 1, null), (2, 'b@x', 'user', 1, 1), (3, 'b@x', 'admin', 2, 1),
      (4, null, 'robot', null, 2);
    create view everybody as select * from people;
    insert into names values (1, 'de', 'Eins'), (1, 'en', 'One'), (2, 'de', 'Zwei'), (2, 'en', 'Two'), (3, 'de', 'Drei'),
      (4, 'de', 'Vier');
    insert into firms values (1, 1.001), (2, 1.002), (7, 3);
    insert into account values ('a@x', 1), ('a@x', 2), (null, 3);
  `);
  await target.exec(`
    create type kind as enum ('user', 'admin', 'guest');
    create table person (id int primary key, email text, kind kind, name text, boss int);
    create table account (email text primary key, n int);
    create table contact (email text not null, kind kind not null, name text);
    create table tagged (kind text, id int, primary key (kind, id));
    create table price (rate numeric(6, 2) primary key);
    create table region (id int primary key, code text not null unique, name text);
    create table pair (id int, a int, b int, c int, primary key (a, b, c));
  `);
  for (const n of [1, 2])
    await target.exec(
      `create table wide_${n} (${Array.from({ length: 1599 }, (_, i) => `c${i + 1} int`).join(', ')})`,
    );
});

afterAll(async () => {
  await Promise.all([source.drop(), target.drop()]);
  rmSync(folder, { recursive: true, force: true });
});

/** All that is said of a plan, whose body begins on line 3. */
async function said(body: string): Promise<string[]> {
  const { plan, problems } = parsePlan(planText(body), join(folder, 'plan.yaml'));
  if (!plan) return problems.map(brief);
  const found = await resolvePlan(plan, await source.open(), await target.open());
  return [...problems, ...found.problems].map(brief);
}

/** A plan of one flow, whose lines begin on line 5. */
const flow = (...lines: string[]): string =>
  ['flows:', '  - name: f', ...lines.map((line) => `    ${line}`)].join('\n');

const wideColumns = (columns: number): string =>
  Array.from({ length: columns }, (_, i) => `c${i + 1}: p.id`).join(', ');
const wideOutputs = [1, 2].map(
  (n) => `  - {to: wide_${n},${n === 2 ? ' where: p.id > 1,' : ''} columns: {${wideColumns(900)}}}`,
);

const all: [title: string, cases: [what: string, body: string, expected: string[]][]][] = [];

all.push(['a name that is misspelt', [
  ['tables, columns and functions, all in one answer and in the order of lines', `id_maps:
  m: {from: peeple p, key: p.id, new: uuid}
flows:
  - name: a
    from: people p
    join: left join regoins r on r.id = p.region
    to: person
    columns: {id: p.id}
  - name: b
    from: people p
    to: persn
    columns: {id: p.id}
  - name: c
    from: people p
    to: person
    columns:
      emial: p.email
      id: p.idd
      name: lenght(p.kind)
      boss: {id_map: n, key: p.boss}
  - name: d
    from: people p
    to: contact
    columns:
      email: {lookup: regoin, by: {code: p.kind}, take: id}
      kind: "'usr'"
      name: {lookup: region, by: {coed: p.kind}, take: nmae}`, [
    '4 id_maps.m.from error: there is no table peeple p in the source | Did you mean people?',
    '8 flows[0].join error: PostgreSQL says: relation "regoins" does not exist (character 11) | Did you mean regions?',
    '13 flows[1].to error: there is no table persn in the target | Did you mean person?',
    '19 flows[2].columns.emial error: public.person has no column emial in the target | Did you mean email?',
    '20 flows[2].columns.id error: PostgreSQL says: column p.idd does not exist (character 1) | Did you mean p.id?',
    '21 flows[2].columns.name error: PostgreSQL says: function lenght(text) does not exist (character 1) | Did you mean length?',
    '22 flows[2].columns.boss.id_map error: there is no id map n | Did you mean m?',
    '27 flows[3].columns.email.lookup error: there is no table regoin in the target | Did you mean region?',
    "28 flows[3].columns.kind error: 'usr' is no label of public.kind | Did you mean 'user'?",
    '29 flows[3].columns.name.by.coed error: public.region has no column coed in the target | Did you mean code?',
    '29 flows[3].columns.name.take error: public.region has no column nmae in the target | Did you mean name?',
  ]],
  ['a column of conflict_key', flow('from: people p', 'to: person', 'columns: {id: p.id, email: p.email}', 'on_conflict: skip', 'conflict_key: [emial]', 'order: p.id'),
    ['9 flows[0].conflict_key error: public.person has no column emial in the target | Did you mean email?']],
  ['one that the flow of an id map has', `id_maps: {m: {from: firms f, key: f.id, new: uuid}}
flows: [{name: id map m, from: people p, to: person, columns: {id: p.id}}]`,
    ['4 flows[0] error: there are two flows called id map m | A table under tables is a flow of that name, and each id map has one that fills it: choose another name.']],
]]); // biome-ignore format: one case a line

const regions = 'join: join regions r on r.id = p.region';
const names = 'join: join names n on n.person = p.id';
const both = 'join: join names n on n.person = p.id join regions r on r.id = p.region';
const into = ['from: people p', 'to: contact', `columns: {name: p.email, email: p.kind, kind: "'user'"}`];
const loses =
  '8 flows[0].join error: it loses 1 of 4 driving rows | Where that is meant, say so: join_rows: may_lose. Else keep them with a left join.';
const multiplies =
  '8 flows[0].join error: it makes 6 rows of 4 driving rows | Where that is meant, say so: join_rows: may_multiply. Else add to its ON what picks one joined row.';
const does =
  '8 flows[0].join error: it loses 1 of 4 driving rows and makes 5 rows of 3 driving rows | Where that is meant, say so: join_rows: any. Else keep them with a left join, and add to its ON what picks one joined row.';

all.push(['a join', [
  ['that loses rows', flow(...into, regions), [loses]],
  ['that multiplies rows', flow(...into, names), [multiplies]],
  ['that multiplies rows, a left one', flow(...into, names.replace('join: ', 'join: left ')), [multiplies]],
  ['that does both', flow(...into, both), [does]],
  ['that loses, where it may multiply', flow(...into, regions, 'join_rows: may_multiply'), [loses]],
  ['that multiplies, where it may lose', flow(...into, names, 'join_rows: may_lose'), [multiplies]],
  ['that does both, where it may lose', flow(...into, both, 'join_rows: may_lose'), ['8 flows[0].join error: it makes 5 rows of 3 driving rows | Where that is meant, say so: join_rows: any. Else add to its ON what picks one joined row.']],
  ['that loses as declared', flow(...into, regions, 'join_rows: may_lose'), []],
  ['that does both as declared', flow(...into, both, 'join_rows: any'), []],
  ['of which where picks one row for each', flow(...into, names, "where: n.lang = 'de'"), []],
  ['that multiplies for the second of two outputs', flow('from: people p', names, 'outputs:', "  - {to: person, where: n.lang = 'de', columns: {id: p.id}}", "  - {to: contact, columns: {email: n.name, kind: \"'user'\"}}"), [multiplies.replace(/^8/, '6')]],
  ['of which each output picks one row', flow('from: people p', names, 'outputs:', "  - {to: person, where: n.lang = 'de', columns: {id: p.id}}", "  - {to: contact, where: n.lang = 'en', columns: {email: n.name, kind: \"'user'\"}}"), []],
]]); // biome-ignore format: one case a line

const rule = 'say which row stays: on_conflict: skip, with an order';
const one = '2 rows share 1 key';
const apart = `Let the key hold what tells these rows apart, or ${rule}.`;

all.push(['a key', [
  ['that is not unique, and NULL somewhere', flow('from: people p', 'to: account', 'columns: {email: p.email}'), [
    `7 flows[0].columns.email error: it gives public.account several rows with one email: ${one} | ${apart}`,
    '7 flows[0].columns.email error: email of public.account is part of its key, and 1 of 4 rows give it NULL | Leave them out: where: p.email is not null.',
  ]],
  ['of several columns', flow('from: people p', 'to: tagged', 'columns: {kind: p.kind, id: p.region}', 'where: p.region is not null'),
    [`7 flows[0].columns error: it gives public.tagged several rows with one (kind, id): ${one} | ${apart}`]],
  ['that a join repeats', flow('from: people p', names, 'join_rows: may_multiply', 'to: person', 'columns: {id: p.id}'),
    [`9 flows[0].columns.id error: it gives public.person several rows with one id: 4 rows share 2 keys | ${apart}`]],
  ['that rounding makes one of two', flow('from: firms f', 'to: price', 'columns: {rate: f.rate}'), [
    '7 flows[0].columns.rate warning: numeric(8,4) into numeric(6,2): what does not fit is rounded without an error | The validator compares with the converted value.',
    `7 flows[0].columns.rate error: it gives public.price several rows with one rate: ${one} | ${apart}`,
  ]],
  ['that is less than what rows are grouped by', flow('from: people p', 'where: p.email is not null', 'group_by: [p.email, p.kind]', 'to: account', 'columns: {email: p.email, n: max(p.id)}'), [
    '7 flows[0].group_by warning: it is copied in one batch: no index of the driving table begins with its first expression | Fine for a table that is copied in a minute: where a group is refused, it is read dozens of times. For a large one create that index on the source.',
    `9 flows[0].columns.email error: it gives public.account several rows with one email: ${one} | Group by what the key is made of and nothing else, or ${rule}.`,
  ]],
  ['that the source does not have', 'tables: [account]', [
    `3 tables[0] error: it gives public.account several rows with one email: ${one} | The source has no such key. Mend its rows, or write a flow and ${rule}.`,
    '3 tables[0] error: email of public.account is part of its key, and 1 of 3 rows give it NULL | Mend them in the source, or write a flow that leaves them out or gives them a value.',
  ]],
  ['of an id map that is not unique, and NULL somewhere', `id_maps:
  m: {from: people p, key: p.email, new: uuid}
flows:
  - {name: f, from: people p, to: person, columns: {id: p.id, name: {id_map: m, key: p.email}}}`, [
    '4 id_maps.m.key error: it is NULL for 1 of the rows of public.people | Leave them out: where: p.email is not null.',
    '4 id_maps.m.key error: it is not unique in public.people: 2 rows share 1 of its values, and one old key would have several new ones | Add what tells them apart: key: [p.email, …].',
  ]],
]]); // biome-ignore format: one case a line

all.push(['whole numbers that are divided', [
  ['before they get where a fraction is kept', flow('from: people p', 'to: price', 'columns: {rate: p.id * 4 / 2}'),
    ['7 flows[0].columns.rate warning: integer is divided by integer: what is behind the point is cut off before it gets into numeric(6,2) | Where it counts, divide by a numeric: … / 100.0.',
     '7 flows[0].columns.rate warning: integer into numeric(6,2): values beyond its range are refused | A row that is refused is set aside, in quarantine.']],
  ['by what keeps it', flow('from: people p', 'to: price', 'columns: {rate: p.id / 4.0}'),
    ['7 flows[0].columns.rate warning: numeric into numeric(6,2): what does not fit is rounded without an error; values beyond its range are refused | The validator compares with the converted value. A row that is refused is set aside, in quarantine.']],
]]); // biome-ignore format: one case a line

all.push(['more columns than PostgreSQL takes', [
  ['in one read', flow('from: people p', 'outputs:', ...wideOutputs),
    ['6 flows[0].outputs error: its outputs have 1,801 columns in all, and PostgreSQL reads 1,664 at once | Make some of them a flow of their own.']],
  ['on the way through a stage', flow('from: people p', 'to: wide_1', `columns: {${wideColumns(1598)}, c1599: {lookup: pair, by: {a: p.id, b: p.boss, c: p.region}, take: id}}`),
    ['4 flows[0] error: its rows wait in a table of 1,601 columns before they get into public.wide_1, and PostgreSQL has 1,600 at most | Look fewer values up, or join them in the source.']],
  ['among candidates', flow('from: people p', 'to: wide_1', `columns: {${wideColumns(2)}}`, 'on_conflict: skip', 'conflict_key: [c1]', 'order: p.id'),
    ['4 flows[0] error: its rows wait in a table of 1,601 columns before they get into public.wide_1, and PostgreSQL has 1,600 at most | Let its order have fewer expressions, or keep rows with one key out with where.']],
]]); // biome-ignore format: one case a line

all.push(['a NOT NULL column', [
  ['that gets no value', flow('from: people p', 'to: contact', `columns: {kind: "'user'"}`),
    ['7 flows[0].columns error: email of public.contact is NOT NULL and gets no value | Give it an expression, or a default in the target.']],
  ['that gets the literal NULL', flow('from: people p', 'to: contact', `columns: {email: 'null', kind: "'user'"}`),
    ['7 flows[0].columns.email error: NULL does not go into email, which is NOT NULL | Give it a value, or leave it out where it has a default.']],
  ['that gets NULL from some rows', flow('from: people p', 'to: contact', `columns: {email: p.email, kind: "'user'"}`),
    ['7 flows[0].columns.email warning: email of public.contact is NOT NULL, and 1 of 4 rows give it NULL | Give it a value: coalesce(p.email, …); or leave them out: where: p.email is not null. Else they go into quarantine.']],
  ['that gets NULL from an expression', flow('from: people p', 'to: contact', `columns: {email: "'<' || p.email", kind: "'user'"}`),
    ["7 flows[0].columns.email warning: email of public.contact is NOT NULL, and 1 of 4 rows give it NULL | Give it a value: coalesce('<' || p.email, …); or leave them out: where: ('<' || p.email) is not null. Else they go into quarantine."]],
  ['that gets NULL from some groups', flow('from: people p', 'group_by: p.id', 'to: contact', `columns: {email: max(p.email), kind: "'user'"}`),
    ['8 flows[0].columns.email warning: email of public.contact is NOT NULL, and 1 of 4 rows give it NULL | Give it a value: coalesce(max(p.email), …). Else they go into quarantine.']],
  ['that gets NULL from some rows of a view', flow('from: everybody p', 'to: contact', `columns: {email: p.email, kind: "'user'"}`),
    ['7 flows[0].columns.email error: email of public.contact is NOT NULL, and 1 of 4 rows give it NULL | Give it a value: coalesce(p.email, …); or leave them out: where: p.email is not null. Else the run fails: nothing tells the rows of a view apart.']],
  ['that gets NULL from more rows than may be set aside', `migration: {quarantine_limit: {rows: 0}}\n${flow('from: people p', 'to: contact', `columns: {email: p.email, kind: "'user'"}`)}`,
    ['8 flows[0].columns.email warning: email of public.contact is NOT NULL, and 1 of 4 rows give it NULL | Give it a value: coalesce(p.email, …); or leave them out: where: p.email is not null. Else they go into quarantine, and are more than migration.quarantine_limit allows: the run would stop.']],
  ['that gets NULL for keys that are not there', flow('from: people p', 'to: contact', `columns: {email: {lookup: region, by: {code: p.kind}, take: code, missing: null}, kind: "'user'"}`),
    ['7 flows[0].columns.email.missing error: a key that is not there would give NULL, and email is NOT NULL | Leave missing out: such a row goes into quarantine.']],
  ['that gets NULL for keys that are NULL', flow('from: people p', 'to: contact', `columns: {email: {lookup: region, by: {code: p.email}, take: code}, kind: "'user'"}`),
    ['7 flows[0].columns.email warning: email of public.contact is NOT NULL, and 1 of 4 rows give it NULL | Leave them out: where: p.email is not null. Else they go into quarantine.']],
]]); // biome-ignore format: one case a line

all.push(['an enum', [
  ['with a literal that is far from any label', flow('from: people p', 'to: person', `columns: {id: p.id, kind: "'x'"}`),
    ["7 flows[0].columns.kind error: 'x' is no label of public.kind | It is one of user, admin, guest."]],
  ['with text that is no label', flow('from: people p', 'to: person', 'columns: {id: p.id, kind: p.kind}'),
    ['7 flows[0].columns.kind warning: 1 of 4 rows give kind of public.person what is no public.kind | It is one of user, admin, guest: say which with case … when … then … end. Else they go into quarantine.']],
  ['with text that is one', flow('from: people p', "where: p.kind <> 'robot'", 'to: person', 'columns: {id: p.id, kind: p.kind}'), []],
]]); // biome-ignore format: one case a line

const flows = (...lines: string[]): string => ['flows:', ...lines.map((line) => `  - {${line}}`)].join('\n');
const circle =
  'Keys that refer to each other need an id map: declare one under id_maps, which is filled before any flow.';

all.push(['two flows', [
  ['into one table, that nothing keeps apart', flows('name: a, from: people p, to: person, columns: {id: p.id}', 'name: b, from: firms f, to: person, columns: {id: f.id}'),
    ['5 flows[1] error: a and b both fill public.person, and nothing in the plan keeps their rows apart | Give them where conditions that exclude each other, a column with a literal of its own, or one rule for rows that meet (on_conflict).']],
  ['into one table, whose conditions overlap', flows('name: a, from: people p, where: p.id < 3, to: person, columns: {id: p.id}', 'name: b, from: people p, where: p.id > 1, to: person, columns: {id: p.id}'),
    [`5 flows[1] error: a and b give public.person several rows with one id: ${one} | Let their where conditions exclude each other, give the key a column with a literal of its own in each, or in each ${rule}.`]],
  ['into one table, whose conditions do not', flows('name: a, from: people p, where: p.id < 3, to: person, columns: {id: p.id}', 'name: b, from: people p, where: p.id > 2, to: person, columns: {id: p.id}'), []],
  ['into one table, each with a literal of its own', flows(`name: a, from: people p, to: tagged, columns: {id: p.id, kind: "'a'"}`, `name: b, from: firms f, to: tagged, columns: {id: f.id, kind: "'b'"}`), []],
  ['with other rules for rows that meet', flows('name: a, from: people p, to: person, on_conflict: skip, order: p.id, columns: {id: p.id}', 'name: b, from: firms f, to: person, on_conflict: update, order: f.id, columns: {id: f.id}'),
    ['5 flows[1] error: a and b both fill public.person, and do not say the same of rows that meet | Give both the same on_conflict and conflict_key, and an order of the same types and directions.']],
  ['that look values up in each other’s tables', flows('name: a, from: people p, to: person, columns: {id: p.id, boss: {lookup: region, by: {id: p.region}, take: id}}', 'name: b, from: regions r, to: region, columns: {id: r.id, code: r.code, name: {lookup: person, by: {id: r.id}, take: name}}'),
    [`4 flows[0].columns.boss error: these flows look values up in each other's tables, so that none could begin: a → b → a | ${circle}`]],
  ['of which one looks up in its own table', flows('name: a, from: people p, to: person, columns: {id: p.id, boss: {lookup: person, by: {id: p.boss}, take: id}}'),
    [`4 flows[0].columns.boss error: a looks values up in the table that it fills itself | ${circle}`]],
]]); // biome-ignore format: one case a line

all.push(['a transform', [
  ['that returns a column that is not there', flow('from: people p', 'to: person', 'columns: {id: p.id}', 'transform: {file: t.ts, returns: [id, emial]}'),
    ['8 flows[0].transform.returns[1] error: public.person has no column emial in the target | Did you mean email?']],
  ['that does not return a NOT NULL column', flow('from: people p', 'to: person', 'columns: {id: p.id}', 'transform: {file: t.ts, returns: [email]}'),
    ['8 flows[0].transform.returns error: id of public.person is NOT NULL and gets no value | Give it an expression, or a default in the target.']],
]]); // biome-ignore format: one case a line

describe.each(all)('%s', (_, cases) => {
  test.each(cases)('%s', async (__, body, expected) => {
    expect(await said(body)).toEqual(expected);
  });
});

test('a join that multiplies or loses since is a finding with the keys of its driving rows', async () => {
  const body = `flows:
  - {name: a, from: regions r, join: join firms f on f.id = r.id, to: region, columns: {id: r.id, code: r.code}}
  - {name: b, from: regions r, join: join firms f on f.id = r.id, join_rows: any, to: tagged, columns: {id: f.id, kind: r.code}}`;
  const plan = await resolveGood(source, target, body);
  const findings = async (name: string): Promise<Finding[]> => {
    const sessions = { source: await source.open(), target: await target.open() };
    return (await runCheck({ ...sessions, plan, before: {} }, { check: 'accounting', flow: name })).findings;
  };
  expect(await findings('a')).toEqual([]);
  await source.exec(
    'alter table firms drop constraint firms_pkey; insert into firms values (1, 9); delete from firms where id = 2',
  );
  expect(await findings('a')).toEqual([
    {
      check: 'join',
      relation: { schema: 'public', name: 'region' },
      summary:
        'flow a: its join loses 1 of 2 driving rows and makes 2 rows of 1 driving rows, which join_rows does not declare (any)',
      details: [
        { key: { id: '1' }, problem: 'multiplied' },
        { key: { id: '2' }, problem: 'unmatched' },
      ],
    },
  ]);
  expect(await findings('b')).toEqual([]);
});
