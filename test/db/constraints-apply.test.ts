import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { catalogSnapshot, diffSnapshots } from '../../src/catalog/snapshot.ts';
import { bringBack, takeDown } from '../../src/constraints/apply.ts';
import { buildProblem } from '../../src/constraints/build-problem.ts';
import { captureObjects } from '../../src/constraints/capture.ts';
import type { CapturedObject } from '../../src/constraints/types.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

const schema = `
  create table parent (id int primary key);
  create table child (id int, code text, parent int constraint child_parent references parent, span int4range,
    constraint child_span exclude using gist (span with &&), constraint child_code unique (code, id));
  create index child_id on child (id);`;

describe.each([14, 18] as const)('PostgreSQL %i', (version) => {
  let database: TestDatabase;
  let session: pg.Client;
  let objects: CapturedObject[];

  const named = (name: string) => objects.find((object) => object.name === name)!;
  const tables = ['parent', 'child'].map((name) => ({ schema: 'public', name }));

  beforeEach(async () => {
    database = await createDatabase(version);
    await database.exec(schema);
    session = await database.open();
    objects = await captureObjects(session, tables);
  });
  afterEach(() => database.drop());

  test('waits for a lock in short turns, names who holds it, and goes on when it is free', async () => {
    const application = await database.open();
    await application.query('begin');
    await application.query('select from public.child');
    const reasons: string[] = [];
    await takeDown(session, named('child_id'), {
      lockTimeoutMs: 50,
      onWait: (reason) => {
        reasons.push(reason);
        if (reasons.length === 2) void application.query('commit');
      },
    });
    expect(reasons.length).toBeGreaterThanOrEqual(2);
    const [pid] = (await application.query<{ pid: number }>('select pg_backend_pid() as pid')).rows;
    expect(reasons[0]).toMatch(/^waiting \d+ s for a lock on public\.child, held by rowfleet test \(pid /);
    expect(reasons[0]).toMatch(new RegExp(`\\(pid ${pid!.pid}, idle in transaction for \\d+ s\\)$`));
    expect((await session.query(`select to_regclass('public.child_id') as oid`)).rows).toEqual([
      { oid: null },
    ]);
  });

  test('gives up after its time with the holder in the error, and nothing has changed', async () => {
    const before = await catalogSnapshot(session);
    const application = await database.open();
    await application.query('begin');
    await application.query('select from public.child');
    const trying = takeDown(session, named('child_parent'), { lockTimeoutMs: 20, giveUpAfterMs: 100 });
    await expect(trying).rejects.toMatchObject({
      code: 'LOCK_NOT_AVAILABLE',
      message: expect.stringMatching(
        /^foreign key child_parent: gave up .* held by rowfleet test \(pid \d+, idle/,
      ),
    });
    expect(diffSnapshots(before, await catalogSnapshot(session))).toEqual([]);
  });

  test('keeps an index that is built while it waits for the lock that its constraint needs', async () => {
    for (const object of objects) await takeDown(session, object);
    const reader = await database.open();
    await reader.query('begin');
    await reader.query('select from public.child'); // Lets CREATE INDEX pass, not ADD CONSTRAINT.
    let building = 0;
    await bringBack(session, named('child_code'), {
      lockTimeoutMs: 30,
      onWait: () => {
        if (++building === 2) void reader.query('commit');
      },
    });
    expect(building).toBeGreaterThanOrEqual(2);
    expect((await session.query(`select from pg_constraint where conname = 'child_code'`)).rowCount).toBe(1);
  });

  test('stops waiting when told to', async () => {
    const application = await database.open();
    await application.query('begin');
    await application.query('select from public.child');
    const stop = new AbortController();
    const trying = takeDown(session, named('child_id'), {
      lockTimeoutMs: 20,
      signal: stop.signal,
      onWait: () => stop.abort(),
    });
    await expect(trying).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('the caller’s row commits with the change or not at all', async () => {
    const before = await catalogSnapshot(session);
    const failing = takeDown(session, named('child_span'), {
      within: async (tx) => {
        await tx.query('create table public.marker ()');
        throw new Error('the ledger said no');
      },
    });
    await expect(failing).rejects.toThrow('the ledger said no');
    expect(diffSnapshots(before, await catalogSnapshot(session))).toEqual([]);
  });

  test('rows that break a key become a finding with the first keys', async () => {
    for (const object of objects) await takeDown(session, object);
    await database.exec(`
      insert into parent select i from generate_series(1, 3) i union all select 2;
      insert into child (id, code, parent, span) select i % 20, 'c', case when i < 30 then i + 100 end, '[1,5)'
      from generate_series(0, 39) i;
      insert into child (id, code) values (null, 'free'), (null, 'free')`);
    const problemOf = async (name: string) => {
      const failure = await bringBack(session, named(name)).catch((error: unknown) => error);
      expect(String(failure), 'no row values').not.toMatch(/\(2\)|\[1,5\)/);
      return buildProblem(session, named(name), failure);
    };

    const primary = await problemOf('parent_pkey');
    expect(primary).toMatchObject({ check: 'build', relation: { schema: 'public', name: 'parent' } });
    expect(primary!.summary).toBe(
      'primary key parent_pkey on public.parent cannot be built: 1 keys occur more than once',
    );
    expect(primary!.details).toEqual([{ key: { id: '2' }, problem: 'duplicate' }]);

    const unique = await problemOf('child_code');
    expect(unique!.summary).toContain('20 keys');
    expect(unique!.details).toHaveLength(10);
    expect(unique!.details[0]).toEqual({ key: { code: 'c', id: '0' }, problem: 'duplicate' });

    const exclusion = await problemOf('child_span');
    expect(exclusion!.details[0]!.key.child_span).toMatch(/conflicts with/);

    await session.query('truncate public.parent');
    await bringBack(session, named('parent_pkey'));
    const orphans = await problemOf('child_parent');
    expect(orphans!.summary).toContain('30 keys are not in public.parent');
    expect(orphans!.details).toHaveLength(10);
    expect(orphans!.details[0]).toEqual({ key: { parent: '100' }, problem: 'orphan' });
  });

  test('what is wrong with the statement rather than the rows is no finding', async () => {
    const broken = { ...named('child_id'), bringBack: ['create index on public.nowhere (id)'] };
    const failure = await bringBack(session, broken).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'DDL_FAILED' });
    expect(await buildProblem(session, broken, failure)).toBeUndefined();
  });
});
