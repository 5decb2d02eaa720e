import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Capture, capture } from '../../src/constraints/capture.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';
import { createTablespace, dropTablespace } from './constraints-zoo.ts';

const asSuperuser = (tablespace: string) => `
  create table public.theirs (id int primary key, mine int);
  create index theirs_mine on public.theirs (mine);
  create trigger theirs_trigger before update on public.theirs for each row
    execute function suppress_redundant_updates_trigger();
  alter table public.theirs add foreign key (mine) references public.mine;
  grant select on public.theirs to app;
  create table public.unreferable (id int primary key);
  alter table public.mine add constraint mine_unreferable foreign key (other) references public.unreferable;
  create index mine_placed on public.mine (other) tablespace ${tablespace};
  alter table public.silent disable trigger all;
  create foreign data wrapper nowhere;
  create server nowhere foreign data wrapper nowhere;
  create foreign table public.parted_far partition of public.parted for values in (2) server nowhere;`;

const asOwner = `
  create table mine (id int primary key, other int);
  create table silent (id int, mine int, constraint silent_mine foreign key (mine) references mine);
  create table parted (id int) partition by list (id);
  create table parted_near partition of parted for values in (1);
  create index parted_id on parted (id);
  create table tree (id int, constraint tree_key unique (id)) partition by list (id);
  create table tree_1 (id int not null, constraint tree_1_own unique (id));
  alter table tree attach partition tree_1 for values in (1);
  alter table tree_1 add constraint tree_1_again unique (id);
  create table half (id int) partition by list (id);
  create table half_1 partition of half for values in (1);
  create index half_id on only half (id);
  create table upper_table (id int primary key, v int) partition by list (id);
  create table upper_part partition of upper_table for values in (1);
  create index upper_v on upper_table (v);
  create index upper_own on upper_part (v, id);`;

describe.each([14, 18] as const)('PostgreSQL %i', (version) => {
  let database: TestDatabase;
  let captured: Capture;

  beforeAll(async () => {
    database = await createDatabase(version);
    await database.exec(asOwner);
    const tablespace = await createTablespace(database, { grant: false });
    await database.execAsSuperuser(asSuperuser(tablespace));
    const session = await database.open();
    const names = ['mine', 'silent', 'parted', 'tree', 'half', 'upper_part', 'theirs'];
    captured = await capture(
      session,
      names.map((name) => ({ schema: 'public', name, nonEmpty: false })),
    );
  });
  afterAll(async () => {
    await database.drop();
    await dropTablespace(database);
  });

  test('what could not come back exactly is not taken down', () => {
    const kept = captured.kept.map(({ name, reason }) => `${name}: ${reason}`);
    expect(kept.toSorted()).toEqual([
      'half_id: the index is not valid',
      'mine_pkey: needed by constraint silent_mine on table public.silent',
      `mine_placed: the role may not create in tablespace space_${database.name}`,
      'mine_unreferable: the role may not reference the table again',
      'parted_id: a foreign partition would keep it invalid',
      'silent_mine: its triggers were disabled, which only a superuser can restore',
      'theirs_mine: the role does not own the table',
      'theirs_mine_fkey: the role does not own the referencing table',
      'theirs_pkey: the role does not own the table',
      'theirs_trigger: the role does not own the table',
      'tree_key: tree_1_again on a partition would become part of it',
      'upper_part_pkey: it belongs to an index of a table that is not loaded',
      'upper_part_v_idx: it belongs to an index of a table that is not loaded',
    ]);
  });
});
