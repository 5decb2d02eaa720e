import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { isConnectionLost, safeMessage, sqlState } from '../../src/pg/errors.ts';
import { openPool, openSession, withSession } from '../../src/pg/session.ts';
import { planQuery } from '../../src/plan/sql/query.ts';
import { createDatabase, onServer, type TestDatabase } from '../postgres.ts';

let db: TestDatabase;

beforeAll(async () => {
  db = await createDatabase(18);
});

afterAll(() => db.drop());

/** The error of a connection to the test database's URL, changed first. */
async function connectWith(change: (url: URL) => void) {
  const url = new URL(db.url);
  change(url);
  const error = await openSession(endpointFromUrl(url.href), 'rowfleet test').catch((caught) => caught);
  expect(`${error.message} ${error.hint}`).not.toContain(decodeURIComponent(url.password) || 'nothing');
  return error;
}

describe('a failed connection says what is wrong and what to do', () => {
  test.each<[string, string, RegExp, (url: URL) => void]>([
    [
      'wrong password',
      '28P01',
      /password is wrong/,
      (url) => {
        url.password = 'not-it';
      },
    ],
    [
      'unknown database',
      '3D000',
      /database does not exist/,
      (url) => {
        url.pathname = '/no_such_database';
      },
    ],
    [
      'nothing listens',
      'ECONNREFUSED',
      /nothing listens/,
      (url) => {
        url.port = '1';
      },
    ],
    [
      'unknown host',
      'ENOTFOUND',
      /host name is unknown/,
      (url) => {
        url.hostname = 'no-such-host.invalid';
      },
    ],
    [
      'no password',
      'PASSWORD_MISSING',
      /there is none/,
      (url) => {
        url.password = '';
      },
    ],
  ])('%s', async (_, code, message, change) => {
    const error = await connectWith(change);
    expect(error).toMatchObject({ name: 'RowfleetError', code, message: expect.stringMatching(message) });
    expect(error.message).toMatch(/^cannot connect to \S+:\d+\/\w+: /);
    expect(error.hint).toBeTruthy();
  });

  test('a full server', async () => {
    await onServer(18, `alter database ${db.name} connection limit 1`);
    const only = await db.open();
    const error = await connectWith(() => {});
    await onServer(18, `alter database ${db.name} connection limit -1`);
    await only.end();
    expect(error).toMatchObject({
      code: '53300',
      kind: 'failed',
      message: expect.stringContaining('no connection left'),
    });
  });

  test('a server that never answers', async () => {
    const silent = createServer(() => {});
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
    const { port } = silent.address() as { port: number };
    const error = await connectWith((url) => {
      url.port = String(port);
      url.searchParams.set('connect_timeout', '2');
    });
    silent.close();
    expect(error).toMatchObject({ code: 'ETIMEDOUT', message: expect.stringContaining('no answer') });
    expect(isConnectionLost(error)).toBe(true);
  });
});

describe('safeMessage', () => {
  beforeAll(async () => {
    await db.exec(`
      create type mood as enum ('ok');
      create table item (id int primary key, label varchar(3) not null check (label <> 'bad'), mood mood, parent int references item);
      insert into item values (424242, 'abc');
      create function complain() returns trigger language plpgsql as $$
        begin raise exception 'secret %', new.id using errcode = '57014'; end $$;
      create table loud (id int);
      create trigger loud before insert on loud for each row execute function complain();`);
  });

  test.each([
    [`select 'sec' || 'ret'::int`, 'invalid text representation (SQLSTATE 22P02)'],
    [
      `insert into item values (424242, 'x')`,
      'unique violation (SQLSTATE 23505): table public.item, constraint item_pkey',
    ],
    [
      `insert into item values (7, null)`,
      'not-null violation (SQLSTATE 23502): table public.item, column label',
    ],
    [
      `insert into item values (7, 'bad')`,
      'check violation (SQLSTATE 23514): table public.item, constraint item_label_check',
    ],
    [
      `insert into item values (7, 'x', null, 424243)`,
      'foreign key violation (SQLSTATE 23503): table public.item, constraint item_parent_fkey',
    ],
    [`insert into item values (7, 'secret')`, 'string too long for its type (SQLSTATE 22001)'],
    [`select 'secret'::public.mood`, 'invalid text representation (SQLSTATE 22P02)'],
    [`select '2024-13-secret'::date`, 'invalid date or time format (SQLSTATE 22007)'],
    [`insert into loud values (424242)`, 'error raised by a function (SQLSTATE 57014)'],
    [`select * from nowhere`, 'relation "nowhere" does not exist (SQLSTATE 42P01)'],
  ])('%s', async (sql, expected) => {
    const error = await db.query(sql).catch((caught) => caught);
    expect(safeMessage(error)).toBe(expected);
    expect(safeMessage(error)).not.toMatch(/secret|424242/);
  });

  test('a line of a COPY is named without its text', async () => {
    const session = await db.open();
    const error = await copyIn(
      session,
      'copy public.item (id, label) from stdin',
      '1\tone\nsecret, column x: \ttwo\n',
    );
    expect(safeMessage(error)).toBe(
      'invalid text representation (SQLSTATE 22P02): table item, column id, line 2 of the batch',
    );
    const short = await copyIn(
      session,
      'copy public.item (id, label) from stdin',
      '7\tx\t, column secret: 1\n',
    );
    expect(safeMessage(short)).toBe('bad COPY file format (SQLSTATE 22P04): table item, line 1 of the batch');
  });

  test('a name that a row spells is not told, one that a statement spells is', async () => {
    const session = await db.open();
    const failing = async (sql: string, values: unknown[] = []) =>
      safeMessage(await planQuery(session, sql, values).catch((error) => error));
    const names = `(values ('secret')) as r (name)`;
    expect(await failing(`select name::regclass from ${names} where name > ''`)).toBe(
      'no such table (SQLSTATE 42P01)',
    );
    expect(await failing(`select $1::regtype`, ['secret'])).toBe('no such object (SQLSTATE 42704)');
    expect(await failing('select * from nowhere where x = $1', ['secret'])).toBe(
      'relation "nowhere" does not exist (SQLSTATE 42P01)',
    );
    expect(await failing(`select ''::nothing`)).toBe('type "nothing" does not exist (SQLSTATE 42704)');
  });

  test('through a wrapped error, and on one line without NUL', () => {
    expect(safeMessage(new Error('one\n  two\0'))).toBe('one two');
    const server = Object.assign(new Error('value "secret"'), { severity: 'ERROR', code: '22003' });
    expect(safeMessage(new Error('outer', { cause: server }))).toBe('number out of range (SQLSTATE 22003)');
  });
});

/** Sends one piece of COPY data and returns the error that the server answers with. */
async function copyIn(
  session: Awaited<ReturnType<TestDatabase['open']>>,
  sql: string,
  data: string,
): Promise<unknown> {
  return new Promise((done) => {
    session.query({
      submit: (connection: { query(text: string): void }) => connection.query(sql),
      handleCopyInResponse: (connection: { sendCopyFromChunk(chunk: Buffer): void; endCopyFrom(): void }) => {
        connection.sendCopyFromChunk(Buffer.from(data));
        connection.endCopyFrom();
      },
      handleError: done,
      handleReadyForQuery: () => {},
    } as never);
  });
}

test('a terminated session is a lost connection, an ordinary error is not', async () => {
  const victim = await db.open();
  const pid = (await victim.query('select pg_backend_pid() as pid')).rows[0].pid;
  const sleeping = victim.query('select pg_sleep(60)').catch((error) => error);
  await db.query('select pg_terminate_backend($1)', [pid]);
  const error = await sleeping;
  expect(isConnectionLost(error)).toBe(true);
  expect(isConnectionLost(await victim.query('select 1').catch((caught) => caught))).toBe(true);
  const ordinary = await db.query('select 1/0').catch((caught) => caught);
  expect([sqlState(ordinary), isConnectionLost(ordinary)]).toEqual(['22012', false]);
});

test('a pooled session that is lost between two statements ends nothing but itself', async () => {
  const pool = openPool(db.endpoint, { max: 1, applicationName: 'rowfleet test' });
  const error = await withSession(pool, async (session) => {
    const { rows } = await session.query('select pg_backend_pid() as pid');
    const gone = new Promise((done) => session.once('end', done));
    await db.query('select pg_terminate_backend($1)', [rows[0].pid]);
    await gone;
    await session.query('select 1');
  }).catch((caught) => caught);
  expect(isConnectionLost(error)).toBe(true);
  expect(await withSession(pool, async (session) => (await session.query('select 1 as one')).rows)).toEqual([
    { one: 1 },
  ]);
  await pool.end();
});
