import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPool, withSession } from '../../src/pg/session.ts';
import { inTransaction } from '../../src/pg/transaction.ts';
import { relay } from '../../src/wire/relay.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let target: TestDatabase;

beforeAll(async () => {
  source = await createDatabase(15);
  target = await createDatabase(18);
  await source.exec(`
    create table t (id int, body text, raw bytea);
    insert into t select i, repeat(E'\\\\x\\t\\n\\\\.', i % 50), sha256(i::text::bytea) from generate_series(1, 100000) i;
    create table wide as select i as id, repeat(md5(i::text), 500000) as body from generate_series(1, 3) i`);
  await target.exec(`
    create table t (id int, body text, raw bytea);
    create table wide (id int, body text);
    create table strict (id int check (id < 50000), body text, raw bytea)`);
});

afterAll(async () => {
  await source.drop();
  await target.drop();
});

interface Copy {
  out: string;
  into: string;
  signal?: AbortSignal;
  onBytes?: (bytes: number) => void;
}

/** One copy as a batch does it, in sessions of pools of one; afterwards the same pools must still work. */
async function copy({ out, into, signal, onBytes }: Copy) {
  const open = (db: TestDatabase) => openPool(db.endpoint, { max: 1, applicationName: 'test' });
  const [from, to] = [open(source), open(target)];
  try {
    return await withSession(from, (s) =>
      withSession(to, (t) =>
        inTransaction(t, 'read committed', () =>
          relay(
            { session: s, statement: out },
            { session: t, statement: into },
            { signal: signal ?? new AbortController().signal, ...(onBytes && { onBytes }) },
          ),
        ),
      ),
    );
  } finally {
    for (const pool of [from, to]) expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await Promise.all([from.end(), to.end()]);
  }
}

const rowsOf = async (table: string) =>
  (await target.query(`select count(*)::int as n from ${table}`)).rows[0]!.n;
const digestOf = async (db: TestDatabase, table: string) =>
  (await db.query(`select md5(string_agg(md5(t::text), '' order by id)) as digest from ${table} t`)).rows[0]!
    .digest;

describe('relay', () => {
  it.each(['text', 'binary'])('copies rows as they are, in %s', async (format) => {
    await target.exec('truncate t');
    const tally = await copy({
      out: `copy public.t to stdout (format ${format})`,
      into: `copy public.t from stdin (format ${format})`,
    });
    expect(tally).toMatchObject({ rowsOut: 100_000, rowsIn: 100_000 });
    expect(tally.bytes).toBeGreaterThan(1_000_000);
    expect(await digestOf(target, 't')).toBe(await digestOf(source, 't'));
  });

  it('copies rows of 16 MB', async () => {
    const tally = await copy({ out: 'copy public.wide to stdout', into: 'copy public.wide from stdin' });
    expect(tally).toMatchObject({ rowsOut: 3, rowsIn: 3 });
    expect(await digestOf(target, 'wide')).toBe(await digestOf(source, 'wide'));
  });

  it('copies nothing', async () => {
    const tally = await copy({
      out: 'copy (select from public.t where false) to stdout',
      into: 'copy public.t from stdin',
    });
    expect(tally).toMatchObject({ rowsOut: 0, rowsIn: 0 });
  });

  it('reports a target that refuses a row, and keeps nothing', async () => {
    await expect(
      copy({ out: 'copy public.t to stdout', into: 'copy public.strict from stdin' }),
    ).rejects.toMatchObject({
      code: '23514',
    });
    expect(await rowsOf('strict')).toBe(0);
  });

  it('reports a source that fails in the middle, and keeps nothing', async () => {
    await target.exec('truncate t');
    const out = 'copy (select 1/(id - 90000), body, raw from public.t) to stdout';
    await expect(copy({ out, into: 'copy public.t from stdin' })).rejects.toMatchObject({ code: '22012' });
    expect(await rowsOf('t')).toBe(0);
  });

  it('reports a target table that is not there', async () => {
    const into = 'copy public.nowhere from stdin';
    await expect(copy({ out: 'copy public.t to stdout', into })).rejects.toMatchObject({ code: '42P01' });
  });

  it('ends in the middle when it is told to, and keeps nothing', async () => {
    const stop = new AbortController();
    let seen = 0;
    const onBytes = (bytes: number) => {
      seen += bytes;
      if (seen > 500_000) stop.abort(new Error('enough'));
    };
    const statements = { out: 'copy public.t to stdout', into: 'copy public.t from stdin' };
    await expect(copy({ ...statements, signal: stop.signal, onBytes })).rejects.toThrow('enough');
    expect(await rowsOf('t')).toBe(0);
  });
});
