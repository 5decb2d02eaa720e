import { afterAll, beforeAll, expect, it } from 'vitest';
import { RowfleetError } from '../../src/errors.ts';
import type { Session } from '../../src/pg/session.ts';
import { TransformBatch } from '../../src/transform/batch.ts';
import { openTransform } from '../../src/transform/transform.ts';
import type { ResolvedTransform } from '../../src/transform/types.ts';
import { relay, tryRelay } from '../../src/wire/relay.ts';
import type { OpenStage } from '../../src/wire/relay-types.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let target: TestDatabase;

beforeAll(async () => {
  source = await createDatabase(15);
  target = await createDatabase(18);
  await source.exec(
    `create table t (id int, body text); insert into t select i, repeat('x', 100) from generate_series(1, 100000) i`,
  );
  await target.exec(
    'create table t (id int, body text); create table strict (id int check (id < 50000), body text)',
  );
});

afterAll(async () => {
  await source.drop();
  await target.drop();
});

type Row = { id: number; body: string };

const column = (name: string, type: 'int4' | 'text') => ({
  ...{ name, type, value: { name: type, array: false }, nullable: true, optional: true },
});
const columns = [column('id', 'int4'), column('body', 'text')];
const plan: ResolvedTransform = {
  ...{ file: 'a.ts', export: 'default', hash: '', output: columns },
  input: columns.map((each) => ({ ...each, expression: each.name })),
};

/** A stage that calls a function for each row. */
function through(call: (row: Row) => unknown, signal = new AbortController().signal): OpenStage {
  const loaded = { call: call as never, hash: '', framesOf: () => [] };
  const transform = openTransform('made', plan, loaded, async () => null);
  return (write) => new TransformBatch(transform, { signal, write });
}

interface Copy {
  call?: (row: Row) => unknown;
  from?: string;
  into?: string;
}

/** Tries a copy in open transactions as a batch of mode corner does, and goes back to its savepoints. */
async function tryCopy({ call = (row) => row, from = 'select * from public.t', into = 't' }: Copy) {
  const [reader, writer] = [await source.open(), await target.open()];
  const both = (sql: string) => Promise.all([reader.query(sql), writer.query(sql)]);
  await both('begin; savepoint before');
  const outcome = await tryRelay(
    { session: reader, statement: `copy (${from}) to stdout` },
    { session: writer, statement: `copy public.${into} from stdin` },
    { signal: new AbortController().signal, through: through(call) },
  ).catch((error) => ({ kind: 'threw' as const, error }));
  await both('rollback to savepoint before');
  expect((await both('select 1 as one')).map(({ rows }) => rows)).toEqual([[{ one: 1 }], [{ one: 1 }]]);
  await both('rollback');
  return outcome;
}

const copy = (reader: Session, writer: Session, stage: OpenStage, signal: AbortSignal) =>
  relay(
    { session: reader, statement: 'copy public.t to stdout' },
    { session: writer, statement: 'copy public.t from stdin' },
    { signal, through: stage },
  );

it('rows go through a function from one COPY to the other: one, several, none', async () => {
  const stage = through(({ id, body }) => {
    if (id % 3 === 0) return null;
    return id % 3 === 1
      ? { id, body }
      : [
          { id, body },
          { id: -id, body },
        ];
  });
  const tally = await copy(await source.open(), await target.open(), stage, new AbortController().signal);
  expect(tally).toMatchObject({ rowsOut: 100_000, rowsIn: 100_000 });
  const { rows } = await target.query(
    `select count(*)::int as n, count(*) filter (where id < 0)::int as negative, sum(id)::bigint as sum from t`,
  );
  const { rows: expected } = await source.query(
    `select 100000 as n, (count(*) filter (where id % 3 = 2))::int as negative, (sum(id) filter (where id % 3 = 1))::bigint as sum from t`,
  );
  expect(rows).toEqual(expected);
});

it('the function is called as soon as rows come, while the source still sends', async () => {
  const holder = await source.open();
  await holder.query('select pg_advisory_lock(7)');
  // The last row comes only when the function has been called with the first.
  const from = `select i, repeat('x', 1000) from generate_series(1, 100) i where i < 100 or (select true from pg_advisory_lock(7))`;
  const call = async (row: Row) => {
    if (row.id === 1) await holder.query('select pg_advisory_unlock(7)');
    return row;
  };
  expect(await tryCopy({ from, call })).toMatchObject({ kind: 'copied', rowsIn: 100 });
});

it('what is refused on either side or between them leaves both sessions to go on with', async () => {
  const refusing = ({ id }: Row) => {
    if (id === 60_000) throw new Error('no');
    return { id };
  };
  expect(await tryCopy({ call: refusing })).toMatchObject({
    ...{ kind: 'refused', side: 'source', error: { code: 'TRANSFORM_THREW', row: 59_999 } },
  });
  expect(await tryCopy({ into: 'strict' })).toMatchObject({
    ...{ kind: 'refused', side: 'target', error: { code: '23514' } },
  });
  expect(await tryCopy({ from: 'select 1 / (90000 - id), body from public.t' })).toMatchObject({
    ...{ kind: 'refused', side: 'source', error: { code: '22012' } },
  });
  expect(await tryCopy({ into: 'nowhere' })).toMatchObject({
    ...{ kind: 'refused', side: 'target', error: { code: '42P01' } },
  });
  // No row is to blame for what is not the same twice.
  let n = 0;
  expect(await tryCopy({ call: () => ({ id: n++ }) })).toMatchObject({
    ...{ kind: 'threw', error: { code: 'TRANSFORM_UNSTABLE' } },
  });
  expect(await tryCopy({})).toMatchObject({ kind: 'copied', rowsOut: 100_000, rowsIn: 100_000 });
});

it.each(['while it waits for the function', 'while rows pass'])(
  'an abort ends both sessions: %s',
  async (when) => {
    const [reader, writer] = [await source.open(), await target.open()];
    for (const session of [reader, writer]) session.on('error', () => {});
    const stop = new AbortController();
    const reason = new RowfleetError('ENOUGH', 'enough');
    const stage = through((row) => {
      if (row.id === 1000) stop.abort(reason);
      return when === 'while rows pass' || row.id < 1000 ? row : new Promise(() => {});
    }, stop.signal);
    await expect(copy(reader, writer, stage, stop.signal)).rejects.toBe(reason);
    for (const session of [reader, writer]) await expect(session.query('select 1')).rejects.toThrow();
  },
);
