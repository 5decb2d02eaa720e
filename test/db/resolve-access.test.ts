import { connect, createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isPooled } from '../../src/catalog/server.ts';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { openSession } from '../../src/pg/session.ts';
import { resolvePlan } from '../../src/plan/resolve/resolve.ts';
import { brief, goodPlan, resolveBody } from '../plan.ts';
import { createDatabase, onServer, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let target: TestDatabase;

const flows = `
tables: [parts]
flows:
  - {name: f, from: t, join: "left join secret s using (id)", to: t, columns: {id: t.id, v: s.v}}
`;

beforeAll(async () => {
  [source, target] = await Promise.all([createDatabase(15), createDatabase(15)]);
});

beforeEach(async () => {
  for (const database of [source, target]) {
    await database.execAsSuperuser(
      'drop schema public cascade; create schema public; grant all on schema public to public',
    );
    await database.exec(`
      create table t (id int, v text);
      create table secret (id int, v text);
      create table parts (id int) partition by list (id);
      create table part1 partition of parts for values in (1);
      create table part2 partition of parts for values in (2)`);
  }
});

afterAll(async () => {
  await Promise.all([source.drop(), target.drop()]);
});

const said = async (body = flows) => (await resolveBody(source, target, body)).problems.map(brief).join('\n');

test('with everything allowed nothing is said', async () => {
  expect(await said()).toBe('');
});

describe('in the source', () => {
  test('row-level security that would hide rows is refused: on driving tables, leaves and joined tables', async () => {
    await source.exec(
      'alter table secret enable row level security; alter table secret force row level security',
    );
    expect(await said()).toMatch(
      /^5 flows\[0\]\.join error: PostgreSQL says: query would be affected by row-level security policy for table "secret"/m,
    );
    await source.exec(
      'alter table secret disable row level security; alter table t enable row level security',
    );
    expect(await said()).toBe(''); // it does not apply to the owner
    await source.exec('alter table t force row level security');
    expect(await said()).toMatch(
      /^5 flows\[0\]\.from error: row-level security of public\.t applies to .* in the source/m,
    );
    await source.exec(
      'alter table t disable row level security; alter table part2 enable row level security; alter table part2 force row level security',
    );
    expect(await said()).toMatch(/^3 tables\[0\] error: row-level security of public\.part2 applies/m);
  });

  test('tables and leaves that may not be read are named', async () => {
    await source.execAsSuperuser(
      'alter table t owner to postgres; alter table part1 owner to postgres; alter table secret owner to postgres',
    );
    const text = await said();
    expect(text).toMatch(
      /^3 tables\[0\] error: .* may not read public\.part1 in the source \| grant select on public\.part1 to/m,
    );
    expect(text).toMatch(/^5 flows\[0\]\.from error: .* may not read public\.t in the source/m);
    await source.execAsSuperuser(
      'grant select (id), select (v) on t to public; grant select on part1 to public',
    );
    expect(await said()).toMatch(/^5 flows\[0\] error: PostgreSQL says: permission denied for table secret/m);
  });
});

describe('in the target', () => {
  test('row-level security, unlogged tables and missing rights are refused', async () => {
    await target.exec('alter table t enable row level security; alter table t force row level security');
    await target.exec('drop table part2; create unlogged table part2 partition of parts for values in (2)');
    const text = await said();
    expect(text).toMatch(/^3 tables\[0\] error: public\.part2 is unlogged in the target/m);
    expect(text).toMatch(
      /^5 flows\[0\]\.to error: row-level security of public\.t applies to .* in the target/m,
    );
  });

  test('tables must be the role’s own', async () => {
    await target.execAsSuperuser('alter table t owner to postgres');
    expect(await said()).toMatch(/^5 flows\[0\]\.to error: .* may not write to public\.t in the target/m);
    await target.execAsSuperuser('grant insert on t to public');
    expect(await said()).toMatch(/may not read public\.t in the target/);
    await target.execAsSuperuser('grant select on t to public');
    expect(await said()).toMatch(/does not own public\.t in the target/);
  });

  test('the ledger must be able to live there', async () => {
    const limited = `limited_${Math.random().toString(36).slice(2)}`;
    await onServer(15, `create role ${limited} login password 'limited'`);
    const url = new URL(target.url);
    url.username = limited;
    url.password = 'limited';
    const session = await openSession(endpointFromUrl(url.href), 'rowfleet test');
    const { problems } = await resolvePlan(goodPlan('tables: [t]'), await source.open(), session);
    await session.end();
    await onServer(15, `drop role ${limited}`);
    expect(problems.map(brief).join()).toMatch(
      /^2 target error: the role limited_\w+ may not create the schema rowfleet/,
    );
  });

  test('default_transaction_read_only is refused', async () => {
    await target.exec(`alter database "${target.name}" set default_transaction_read_only = on`);
    const text = await said();
    await onServer(15, `alter database "${target.name}" reset default_transaction_read_only`);
    expect(text).toMatch(/^2 target error: default_transaction_read_only is on/m);
  });
});

test('a table that values are looked up in has to be readable, with all of its rows', async () => {
  const body = `
flows:
  - {name: f, from: t, to: t, columns: {id: {lookup: secret, by: {v: t.v}, take: id}}}`;
  await target.exec('create unique index on secret (v)');
  expect(await said(body)).toBe('');
  await target.exec('alter table secret enable row level security, force row level security');
  expect(await said(body)).toMatch(
    /columns\.id\.lookup error: row-level security of public\.secret applies to .* in the target/,
  );
  await target.exec('alter table secret disable row level security');
  await target.execAsSuperuser('alter table secret owner to postgres');
  expect(await said(body)).toMatch(
    /columns\.id\.lookup error: .* may not read public\.secret in the target \| grant select on public\.secret to/,
  );
});

test('encodings that cannot hold the same text are refused or warned about', async () => {
  const name = `ascii_${target.name}`;
  const latin = `latin_${target.name}`;
  const owner = new URL(target.url).username;
  await onServer(
    15,
    `create database ${name} template template0 encoding 'SQL_ASCII' locale 'C' owner "${owner}"`,
  );
  await onServer(
    15,
    `create database ${latin} template template0 encoding 'LATIN1' locale 'C' owner "${owner}"`,
  );
  try {
    const at = async (database: string, from = false) => {
      const url = new URL(target.url);
      url.pathname = `/${database}`;
      const session = await openSession(endpointFromUrl(url.href), 'rowfleet test');
      const other = await (from ? target : source).open();
      await session.query('create table if not exists public.t (id int, v text)');
      const result = await resolvePlan(
        goodPlan('tables: [t]'),
        from ? session : other,
        from ? other : session,
      );
      await session.end();
      return result;
    };
    expect((await at(name)).problems.map(brief).join()).toMatch(
      /target error: the target’s encoding is SQL_ASCII/,
    );
    expect((await at(name, true)).problems.map(brief).join()).toMatch(
      /source error: the source’s encoding is SQL_ASCII/,
    );
    const toLatin = await at(latin);
    expect(toLatin.problems.map(brief).join()).toMatch(
      /target warning: the source is in UTF8, the target in LATIN1/,
    );
    expect(toLatin.resolved!.flows[0]!.columns[1]!.digest).toBe('text');
    expect((await at(latin, true)).problems).toEqual([]);
  } finally {
    await onServer(15, `drop database ${name} with (force)`);
    await onServer(15, `drop database ${latin} with (force)`);
  }
});

test('a pooler in between is recognised by the key that it makes up', async () => {
  expect(await isPooled(await source.open())).toBe(false);
  const server = new URL(source.url);
  // Passes everything on, but announces a process of its own, as poolers do.
  const pooler = createServer((client) => {
    const upstream = connect(Number(server.port), server.hostname);
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    client.pipe(upstream);
    upstream.on('data', (data) => {
      const key = data.indexOf(Buffer.from([0x4b, 0, 0, 0, 12])); // BackendKeyData
      if (key >= 0) data.writeInt32BE(1, key + 5);
      client.write(data);
    });
    upstream.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => pooler.listen(0, '127.0.0.1', resolve));
  const address = pooler.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const url = new URL(source.url);
  url.host = `127.0.0.1:${address.port}`;
  url.searchParams.set('sslmode', 'disable');
  const session = await openSession(endpointFromUrl(url.href), 'rowfleet test');
  try {
    const { problems } = await resolvePlan(goodPlan('tables: [t]'), session, await target.open());
    expect(problems.map(brief).join()).toMatch(
      /^1 source error: a connection pooler stands before the source/,
    );
  } finally {
    await session.end();
    pooler.close();
  }
});
