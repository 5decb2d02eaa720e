import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLike, flowsInto, fuseStatements } from '../../src/plan/statements/fuse.ts';
import { resolveGood } from '../plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let into: TestDatabase;

beforeAll(async () => {
  [source, into] = [await createDatabase(15), await createDatabase(18)];
  await source.exec('create table a (id int primary key, k numeric, v text, tags int[])');
  await into.exec('create table c (k numeric unique, v text, tags int[])');
});

afterAll(() => Promise.all([source.drop(), into.drop()]));

test.each(['skip', 'update', 'merge'])(
  'what candidates become does not depend on how they came: %s',
  async (rule) => {
    const columns = '{k: x.k, v: x.v, tags: x.tags}';
    const plan = await resolveGood(
      source,
      into,
      `
name: x
flows:
  - {name: c, from: a x, to: c, on_conflict: ${rule}, conflict_key: [k], order: x.id / 2, columns: ${columns}}`,
    );
    const relation = { schema: 'public', name: 'c' };
    const session = await into.open();
    const fused: unknown[] = [];
    for (const direction of ['asc', 'desc']) {
      await createLike(session, 'public.candidates', flowsInto(plan, relation));
      // Keys that are equal and written differently, ties, NULLs, and two rows without a key.
      await session.query(`
      insert into public.candidates (k, v, tags, rowfleet_order_1, rowfleet_flow)
      select (i % 100 || case when i % 3 = 0 then '.0' else '.00' end)::numeric, case when i % 2 = 0 then 'v' || i end,
             array[i, i + 1], i / 2, 0
        from generate_series(1, 3000) i order by i ${direction};
      insert into public.candidates (v, rowfleet_order_1, rowfleet_flow) values ('x', 1, 0), ('y', 1, 0)`);
      for (let number = 0; number < 4; number++)
        await session.query(
          ['begin', ...fuseStatements(plan, relation, 'public.candidates', { number, of: 4 }), 'commit'].join(
            ';',
          ),
        );
      const { rows } = await session.query('select c::text as row from public.c order by 1');
      fused.push(rows);
      await session.query('drop table public.candidates; truncate public.c');
    }
    expect(fused[0]).toHaveLength(102);
    expect(fused[1]).toEqual(fused[0]);
  },
);

test('a default that tells when a row came does not decide between rows of a flow that leaves it out', async () => {
  await into.exec(
    "create sequence came; create table d (k int unique, seen bigint default nextval('came'), v text)",
  );
  const rule = 'on_conflict: skip, conflict_key: [k], order: x.id / 2';
  const plan = await resolveGood(
    source,
    into,
    `
name: y
flows:
  - {name: seen, from: a x, to: d, ${rule}, columns: {k: x.k::int, seen: x.id, v: x.v}}
  - {name: not seen, from: a x, to: d, ${rule}, columns: {k: x.k::int, v: x.v}}`,
  );
  const relation = { schema: 'public', name: 'd' };
  const session = await into.open();
  const fused: unknown[] = [];
  for (const direction of ['asc', 'desc']) {
    await createLike(session, 'public.candidates', flowsInto(plan, relation));
    await session.query(`insert into public.candidates (k, v, rowfleet_order_1, rowfleet_flow)
      select i % 10, 'v' || i, 1, 1 from generate_series(1, 100) i order by i ${direction}`);
    await session.query(
      ['begin', ...fuseStatements(plan, relation, 'public.candidates'), 'commit'].join(';'),
    );
    fused.push((await session.query('select k, v from public.d order by k')).rows);
    await session.query('drop table public.candidates; truncate public.d');
  }
  expect(fused[0]).toHaveLength(10);
  expect(fused[1]).toEqual(fused[0]);
});
