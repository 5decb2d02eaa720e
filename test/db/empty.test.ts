import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inTransaction } from '../../src/pg/transaction.ts';
import { emptyTables } from '../../src/run/empty.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

describe.each([14, 18] as const)('PostgreSQL %i', (version) => {
  let database: TestDatabase;
  let session: pg.Client;

  beforeEach(async () => {
    database = await createDatabase(version);
    await database.exec(`
      create table parent (id int primary key);
      create table child (id int primary key, parent_id int references parent);
      create table grandchild (child_id int references child on delete cascade, parent_id int references parent);
      create table parted (k int primary key) partition by range (k);
      create table parted_1 partition of parted for values from (0) to (10);
      create table parted_2 partition of parted default;
      insert into parent values (1), (2); insert into child values (1, 1); insert into grandchild values (1, 2);
      insert into parted values (1), (11)`);
    session = await database.open();
  });
  afterEach(() => database.drop());

  const targets = ['parent', 'child', 'grandchild', 'parted'].map((name) => ({
    ...{ schema: 'public', name, oid: 0, key: [] },
    only: name !== 'parted',
  }));
  const empty = () => inTransaction(session, 'read committed', () => emptyTables(session, targets));
  const left = async () => {
    const { rows } = await database.query(
      `select (select count(*)::int from parent) as parent, (select count(*)::int from child) as child,
              (select count(*)::int from grandchild) as grandchild, (select count(*)::int from parted) as parted`,
    );
    return rows[0];
  };

  test('tables that refer to each other are emptied, also beside an empty table that may not be read', async () => {
    await database.execAsSuperuser(
      'create table public.hidden (id int references public.parent on delete cascade)',
    );
    await empty();
    expect(await left()).toEqual({ parent: 0, child: 0, grandchild: 0, parted: 0 });
  });

  test('a row that refers to a partition stands in the way, one that does not is left as it is', async () => {
    await database.exec(`create table note (id int, k int constraint note_k references parted_1 (k) on delete set null);
      insert into note values (1, null), (2, 1)`);
    const before = await left();
    await expect(empty()).rejects.toMatchObject({
      code: 'STILL_REFERRED',
      message:
        'public.parted cannot be emptied: rows of public.note refer to it, and foreign key note_k of public.note (ON DELETE SET NULL) would change them too',
    });
    expect(await left()).toEqual(before);
    await database.query('delete from note where id = 2');
    await empty();
    expect(await left()).toEqual({ parent: 0, child: 0, grandchild: 0, parted: 0 });
    expect((await database.query('select id from note')).rows).toEqual([{ id: 1 }]);
  });

  test('nobody begins to refer to what is being emptied', async () => {
    await database.exec('create table note (id int references parent on delete cascade)');
    const other = await database.open();
    await other.query('begin; insert into public.note values (1)');
    await expect(empty()).rejects.toMatchObject({
      code: 'LOCK_NOT_AVAILABLE',
      message: expect.stringMatching(/to empty public\.parent, .*, held by rowfleet test \(pid \d+, idle in/),
    });
    await other.query('commit');
    await expect(empty()).rejects.toMatchObject({ code: 'STILL_REFERRED' });
  });
});
