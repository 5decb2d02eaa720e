import { afterAll, expect, test, vi } from 'vitest';
import { parseDocument } from 'yaml';
import { runCommandLine } from '../../ops/cli/run.ts';
import { describeWith } from '../describe-with.ts';
import { generateFor, resolveText } from '../generated-plan.ts';
import { brief } from '../plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';
import { createEmptySample, createSample } from '../sample.ts';

const databases: TestDatabase[] = [];
afterAll(() => Promise.all(databases.map((database) => database.drop())));

/** A database with these statements run by its owner. */
async function databaseWith(version: 14 | 15 | 18, sql: string): Promise<TestDatabase> {
  const database = await createDatabase(version);
  databases.push(database);
  await database.exec(sql);
  return database;
}

const longestLine = (text: string) => Math.max(...text.split('\n').map((line) => line.length));

describeWith('samples', 'a plan for a sample database', () => {
  test.each([
    ['pagila', 15],
    ['chinook', 11],
  ] as const)('%s: its %i tables, with and without the target', async (sample, tables) => {
    const [source, target] = [await createSample(15, sample), await createEmptySample(18, sample)];
    databases.push(source, target);
    for (const generated of [await generateFor(source), await generateFor(source, target)]) {
      const { resolved, problems, plan } = await resolveText(generated.text, source, target);
      expect(problems.map(brief)).toEqual([]);
      expect(plan?.tables).toHaveLength(tables);
      expect(resolved?.flows).toHaveLength(tables);
      expect(generated.gaps).toBe(0);
      expect(longestLine(generated.text)).toBeLessThanOrEqual(100);
    }
  });
});

test('says of each table what is to be known about it', async () => {
  const source = await databaseWith(
    18,
    `create table a_key (a int, b int, primary key (b, a)); insert into a_key select i, i from generate_series(1, 20000) i; analyze a_key;
     create table b_other (k int primary key); create table b_none (k int references b_other, t text);
     create table c_blob (id int primary key, picture oid); insert into c_blob values (1, lo_create(0));
     create table d_parent (n int); create table d_child () inherits (d_parent);
     create table e_parts (n int) partition by list (n);
     create table e_parts_1 partition of e_parts for values in (1); create table e_parts_2 partition of e_parts default;
     create unlogged table f_twice (n int not null unique, twice int generated always as (n * 2) stored);
     create view v as select 1 as one; create materialized view w as select 1 as one;
     create table "x_of extension" (n int)`,
  );
  await source.execAsSuperuser(`create extension citext; alter extension citext add table "x_of extension";
    create table y_hidden (n int); alter table y_hidden enable row level security; grant select on y_hidden to app;
    create table z_secret (n int); insert into z_secret values (1)`);
  const { text } = await generateFor(source);
  const list = text
    .slice(text.indexOf('tables:'))
    .replace(/\n {4,}# /g, ' ')
    .replace(/ {2,}#/g, ' #');
  expect(list.split('\n')).toEqual([
    'tables:',
    expect.stringMatching(/^ {2}- a_key # ~20,000 rows, \d+ kB; key b, a$/),
    '  - b_none # empty; no key; refers to b_other',
    '  - b_other # empty; key k',
    expect.stringMatching(
      /^ {2}- c_blob # ~\d+ rows, 8.19 kB; key id; preflight refuses: picture: the source holds large objects, and/,
    ),
    '  - d_child # empty; no key; inherits from d_parent',
    '  - d_parent # empty; no key; inherited by d_child',
    '  - e_parts # empty; 2 partitions; no key',
    '  - f_twice # empty; key n; generated: twice; unlogged',
    '  - y_hidden # empty; no key; preflight refuses: row-level security of public.y_hidden applies to app in the source: rows would be missing',
    '  - z_secret # rows not known, 8.19 kB; no key; preflight refuses: app may not read public.z_secret in the source',
    '',
    '# Left out:',
    '#   v # view',
    '#   w # materialized view',
    '#   "x_of extension" # of an extension, which brings its own rows',
    '',
  ]);
});

const reshaped = {
  source: `
    create type status as enum ('new', 'done', 'old'); create type mood as enum ('ok', 'sad');
    create table region (id int primary key, name text);
    create table customers (customer_id int primary key, "emailAddress" text, mail text not null, age text, since timestamp,
      status status, mood mood, active int, amount numeric, "old flag" bool);
    create table legacy_log (line text);
    create table tags (id int primary key, label text not null);
    create table same (a int, b varchar(9));
    create table parent (a int); create table child () inherits (parent);
    insert into customers select i, i || '@x', 'm' || i, i, now(), 'new', 'sad', i % 2, i / 3.0, true from generate_series(1, 50) i;
    insert into parent values (1); insert into child values (2);`,
  target: `
    create type status as enum ('new', 'done'); create type temper as enum ('sad', 'ok', 'wild');
    create table region (id int primary key, name text, twice text generated always as (name || name) stored);
    create table customer (id bigint primary key, email_address varchar(100), e_mail text not null, age int,
      since timestamptz, status status not null, mood temper, active bool, amount numeric(10, 2),
      region_id int not null references region, remark text, created timestamptz not null default now());
    create table tag (label text not null, id bigint primary key);
    create table same (b varchar(12), a bigint);
    create table parent (a int); create table child (extra int) inherits (parent);
    create table audits (x int);`,
};

/** Without line breaks, alignment and the marks of comments. */
const inWords = (text: string) => text.replace(/[\s#]+/g, ' ');

test('goes where names and types match, and leaves gaps that preflight refuses at their lines', async () => {
  const [source, target] = [await databaseWith(14, reshaped.source), await databaseWith(18, reshaped.target)];
  const generated = await generateFor(source, target);
  const { tables, flows } = parseDocument(generated.text).toJS();
  expect(tables).toEqual(['region', 'same']);
  expect(flows).toEqual([
    { name: 'child', from: 'child c', to: 'child', columns: { a: 'c.a' } },
    {
      name: 'customer',
      from: 'customers c',
      to: 'customer',
      columns: {
        id: {
          decide: expect.stringMatching(/^bigint NOT NULL; of the key of customer; .*near: c.customer_id/),
        },
        email_address: 'c."emailAddress"',
        e_mail: {
          decide: expect.stringMatching(/^text NOT NULL; no such column in customers; near: c.mail \(text\)/),
        },
        age: 'c.age::int4',
        since: { decide: expect.stringContaining("c.since at time zone 'UTC'") },
        status: 'c.status',
        mood: 'c.mood::text',
        active: 'c.active::bool',
        amount: 'c.amount',
        region_id: { decide: expect.stringContaining('refers to region (id)') },
      },
    },
    {
      name: 'parent',
      from: 'parent p',
      where: `p.tableoid = '"public"."parent"'::regclass`,
      to: 'parent',
      columns: { a: 'p.a' },
    },
    { name: 'tag', from: 'tags t', to: 'tag', columns: { label: 't.label', id: 't.id' } },
  ]);
  for (const comment of [
    '# not copied: c.customer_id (integer), c.mail (text), c."old flag" (boolean)',
    '# remark: … # stays NULL; text; no such column in customers',
    '# gets its default; timestamp with time zone NOT NULL',
    'lacks labels of the source’s: old',
    '#   legacy_log  # empty; no key',
    '#   audits  # the source has no table of that name; no key',
    '# To decide: 4 places under "decide:"',
  ])
    expect(inWords(generated.text)).toContain(inWords(comment));
  expect(generated.gaps).toBe(4);

  const refused = await resolveText(generated.text, source, target);
  const lines = generated.text.split('\n');
  expect(refused.problems.map(({ at, severity }) => [severity, at.path, lines[at.line - 1]!.trim()])).toEqual(
    ['id', 'e_mail', 'since', 'region_id'].map((name) => ['error', `flows[1].columns.${name}`, `${name}:`]),
  );
  expect(refused.problems[1]!.message).toMatch(/^is still to be decided: text NOT NULL; .* near: c.mail/);

  const decisions: Record<string, string> = {
    id: 'c.customer_id',
    e_mail: 'c.mail',
    since: "c.since at time zone 'UTC'",
    region_id: '1',
  };
  const decided = generated.text.replace(
    /^( {6}(\w+):)\n {8}decide: >-\n(?: {10}.*\n)+/gm,
    (_, key: string, name: string) => `${key} ${decisions[name]}\n`,
  );
  const resolution = await resolveText(decided, source, target);
  expect(resolution.problems.filter(({ severity }) => severity === 'error').map(brief)).toEqual([]);
  expect(resolution.resolved?.flows).toHaveLength(6);
});

const names = [
  'select', 'UPPER', 'upper', 'two words', 'quo"te', "apo'strophe", 'semi; -- x', '*', '<<', 'null', '~', '123', 'a: b', '#x',
  'new\nline', 'tab\there', 'back\\slash', 'größe', '🐘', ' leading', '$1', '${HOME}', 'dot.ted', '"', '\u2028', '\u202e',
  '- x', '__proto', 'x'.repeat(63),
]; // biome-ignore format: one list

test('writes odd names so that they lead to what they name', async () => {
  const ident = (name: string) => `"${name.replaceAll('"', '""')}"`;
  const shape = (type: string) =>
    `create schema "a.b"; create schema b; create table "a.b"."c" (k int); create table b."b.c" (k int); create table b."UPPER" (k int);` +
    names.map((name) => `create table ${ident(name)} (k int, ${ident(name)} ${type});`).join('');
  const source = await databaseWith(14, shape('text'));
  const [same, other] = [await databaseWith(18, shape('text')), await databaseWith(18, shape('int'))];
  for (const generated of [await generateFor(source), await generateFor(source, same)]) {
    const { resolved, problems } = await resolveText(generated.text, source, same);
    expect(problems.map(brief)).toEqual([]);
    expect(resolved?.flows).toHaveLength(names.length + 3);
  }
  const flows = await resolveText((await generateFor(source, other)).text, source, other);
  expect(flows.problems.map(brief)).toEqual([]);
  expect(flows.plan?.flows).toHaveLength(names.length);
  const pairs = flows.resolved!.flows.map(({ driving, target, columns }) => [
    driving.name,
    target.name,
    columns.at(-1)!.name,
  ]);
  expect(pairs.filter(([from, to, column]) => from !== to || (column !== 'k' && column !== from))).toEqual(
    [],
  );
});

/** Runs generate-config in this process. */
async function run(args: string[], env: Record<string, string> = {}) {
  const written = { out: '', err: '' };
  const keep = (stream: 'out' | 'err') => (chunk: unknown) => {
    written[stream] += chunk;
    return true;
  };
  for (const [name, value] of Object.entries({ NO_COLOR: '1', ...env })) vi.stubEnv(name, value);
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(keep('out')),
    vi.spyOn(process.stderr, 'write').mockImplementation(keep('err')),
  ];
  const before = process.exitCode;
  try {
    await runCommandLine(['node', 'rowfleet', 'generate-config', ...args]);
    return { code: process.exitCode, ...written };
  } finally {
    process.exitCode = before;
    for (const spy of spies) spy.mockRestore();
    vi.unstubAllEnvs();
  }
}

test('the command takes a URL, settings, a variable or -, and never prints what stands in them', async () => {
  const source = await databaseWith(18, 'create table t (id int primary key)');
  const empty = await databaseWith(18, '');
  const { host, port, user, password, database } = source.endpoint.config;
  const settings = `host=${host} port=${port} user=${user} dbname=${database} password='${password}'`;
  const secret = encodeURIComponent(String(password));
  for (const [args, env, variable] of [
    [['--from', source.url], {}, 'SOURCE_DATABASE_URL'],
    [['--from', settings], {}, 'SOURCE_DATABASE_URL'],
    [['--from', '-', '--to', source.url], { SOURCE_DATABASE_URL: source.url }, 'SOURCE_DATABASE_URL'],
    [['--from', '${OLD_URL}'], { OLD_URL: source.url }, 'OLD_URL'],
  ] as const) {
    const { code, out, err } = await run([...args], env);
    expect({ code, err: err.includes('stays in the shell’s history') }).toEqual({
      code: 0,
      err: args.some((arg) => arg === source.url || arg === settings),
    });
    expect(out).toContain(`source: \${${variable}}\ntarget: \${TARGET_DATABASE_URL}\n`);
    expect(out).toContain('tables:\n  - t  # empty; key id\n');
    for (const shown of [String(password), secret, source.url]) expect(out + err).not.toContain(shown);
  }
  const json = await run(['--from', source.url, '--json']);
  expect(JSON.parse(json.out)).toMatchObject({
    type: 'config',
    gaps: 0,
    text: expect.stringContaining('- t '),
  });
  for (const [args, message] of [
    [['--from', empty.url], `the source database ${empty.name} holds no tables`],
    [['--from', source.url, '--to', empty.url], `the target database ${empty.name} holds no tables`],
    [['--from', source.url.replace(secret, 'wrong')], 'the password is wrong'],
    [['--from', 'postgres://u:s3cret@127.0.0.1:1/old'], 'cannot connect to the source 127.0.0.1:1/old'],
    [['--from', 'host=x password=s3cret oops'], 'the connection settings are malformed'],
    [['--from', '${NOWHERE}'], 'NOWHERE is not set'],
    [['--to', source.url], '--to needs --from'],
  ] as const) {
    const refused = await run([...args]);
    expect(refused).toMatchObject({ code: 2, out: '', err: expect.stringContaining(message) });
    expect(refused.err).not.toContain('s3cret');
  }
});
