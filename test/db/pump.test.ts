import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { safeMessage } from '../../src/pg/errors.ts';
import { openPool, withSession } from '../../src/pg/session.ts';
import { inTransaction } from '../../src/pg/transaction.ts';
import { type PumpOutcome, pump } from '../../src/wire/pump.ts';
import { Splitter } from '../../src/wire/split.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let target: TestDatabase;

const tables = `
  create table names (id int, name text);
  create table blobs (raw bytea);
  create table strict (id int check (id < 30000), name text)`;

beforeAll(async () => {
  source = await createDatabase(15);
  target = await createDatabase(18);
  await source.exec(`
    create table t (id int, name text, raw bytea);
    insert into t select i, nullif(repeat(E'\\\\x\\t\\n\\\\.', i % 20), ''), sha256(i::text::bytea) from generate_series(1, 200000) i`);
  await target.exec(tables);
});

afterAll(async () => {
  await source.drop();
  await target.drop();
});

interface Split {
  into?: string;
  select?: string;
  format?: 'binary' | 'text';
  tolerant?: boolean;
  signal?: AbortSignal;
  onBytes?: (bytes: number) => void;
}

const allRows = 'select id, name, id % 3 = 0, raw from public.t';

/** One COPY into two tables in one transaction a side. Where the pump returns, whatever the outcome, both sessions must still work. */
async function split({
  into = 'names',
  select = allRows,
  format = 'binary',
  tolerant = false,
  ...rest
}: Split): Promise<PumpOutcome> {
  const open = (db: TestDatabase) => openPool(db.endpoint, { max: 1, applicationName: 'test' });
  const [from, to] = [open(source), open(target)];
  const parts = [
    { columns: 2, flag: false },
    { columns: 1, flag: true },
  ];
  try {
    return await withSession(from, (s) =>
      withSession(to, (t) =>
        inTransaction(t, 'read committed', async () => {
          await t.query('savepoint before');
          const outcome = await pump(
            { session: s, statement: `copy (${select}) to stdout (format ${format})` },
            new Splitter(parts, format),
            {
              session: t,
              inlets: [into, 'blobs'].map((table) => ({
                statement: `copy public.${table} from stdin (format ${format})`,
                format,
              })),
            },
            { signal: new AbortController().signal, tolerant, ...rest },
          );
          if (outcome.kind === 'refused') await t.query('rollback to savepoint before');
          await s.query('select 1');
          await t.query('select 1');
          return outcome;
        }),
      ),
    );
  } finally {
    await Promise.all([from.end(), to.end()]);
  }
}

const held = async () => {
  const digest = (column: string) => `md5(string_agg(md5(${column}::text), '' order by ${column}::text))`;
  const { rows } = await target.query(
    `select (select ${digest('t')} from names t) as names, (select ${digest('t')} from blobs t) as blobs`,
  );
  return rows[0];
};
const wanted = async () => {
  const digest = (row: string) => `md5(string_agg(md5((${row})::text), '' order by (${row})::text))`;
  const { rows } = await source.query(
    `select (select ${digest('id, name')} from t) as names, (select ${digest('row(raw)')} from t where id % 3 = 0) as blobs`,
  );
  return rows[0];
};
const nothing = { names: null, blobs: null };

describe('pump', () => {
  it.each(['text', 'binary'] as const)('gives each table its share, in %s', async (format) => {
    await target.exec('truncate names, blobs');
    const outcome = await split({ format });
    expect(outcome).toMatchObject({
      kind: 'copied',
      outputs: [
        { rowsOut: 200_000, rowsIn: 200_000 },
        { rowsOut: 66_666, rowsIn: 66_666 },
      ],
    });
    expect(await held()).toEqual(await wanted());
  });

  it('copies nothing', async () => {
    await target.exec('truncate names, blobs');
    const none = { rowsOut: 0, rowsIn: 0 };
    expect(await split({ select: `${allRows} where false` })).toMatchObject({ outputs: [none, none] });
    expect(await held()).toEqual(nothing);
  });

  it('lets the largest row through', async () => {
    await target.exec('truncate names, blobs');
    const select =
      "select i, repeat(md5(i::text), 500000), true, '\\x00'::bytea from generate_series(1, 3) i";
    const three = { rowsOut: 3, rowsIn: 3 };
    expect(await split({ select })).toMatchObject({ outputs: [three, three] });
  });

  it.each([
    { side: 'target', code: '23514', copy: { into: 'strict' } },
    {
      side: 'source',
      code: '22012',
      copy: { select: 'select 1 / (id - 190000), name, true, raw from public.t' },
    },
  ])('tells what the $side refuses in the middle, and keeps nothing', async ({ side, code, copy }) => {
    await target.exec('truncate names, blobs');
    expect(await split({ ...copy, tolerant: true })).toMatchObject({
      kind: 'refused',
      side,
      error: { code },
    });
    await expect(split(copy)).rejects.toMatchObject({ code });
    expect(await held()).toEqual(nothing);
  });

  it('tells the line that is refused as one of the batch, however many COPYs it took', async () => {
    await target.exec('truncate names, blobs');
    // Fifteen megabytes, by turns of four to eight.
    const select = `select id, repeat('x', 500), true, raw from public.t where id <= 30000 order by id`;
    const error = await split({ into: 'strict', select }).catch((thrown) => thrown);
    expect(safeMessage(error)).toContain('line 30000 of the batch');
  });

  it('ends in the middle when it is told to, and keeps nothing', async () => {
    await target.exec('truncate names, blobs');
    const stop = new AbortController();
    let seen = 0;
    const onBytes = (bytes: number) => {
      seen += bytes;
      if (seen > 6_000_000) stop.abort(new Error('enough'));
    };
    await expect(split({ signal: stop.signal, onBytes })).rejects.toThrow('enough');
    expect(await held()).toEqual(nothing);
  });
});

it('gives up what it lets go by when it is aborted, and says so', async () => {
  const abort = new AbortController();
  const endless = `select i, repeat('x', 1000), false, null::bytea from (select generate_series(29000, 100000000) as i) g`;
  let passed = 0;
  // The source is paused at 8 MB while the target takes them: so much comes only once the target has refused.
  const onBytes = (bytes: number) => {
    passed += bytes;
    if (passed > 60e6) abort.abort(new Error('took too long'));
  };
  const outcome = split({ into: 'strict', select: endless, tolerant: true, signal: abort.signal, onBytes });
  await expect(outcome).rejects.toThrow('took too long');
});
