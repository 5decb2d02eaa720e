import { afterEach, expect, test } from 'vitest';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let databases: TestDatabase[] = [];
let target: Target;

afterEach(async () => {
  await target.close();
  await Promise.all(databases.map((database) => database.drop()));
});

const plan =
  'name: findings\nmigration: {batch_size: 500, max_retries: 1, quarantine_limit: {rows: 0}}\ntables: "*"';

/** Starts a migration between two schemas; both sides in the schema public. */
async function migrate(sourceSql: string, targetSql: string) {
  const [source, into] = await Promise.all([createDatabase(14), createDatabase(18)]);
  databases = [source!, into!];
  await source!.exec(sourceSql);
  await into!.exec(targetSql);
  target = await openTarget(into!);
  target.startFleet();
  return { source: source!, runId: await target.start(source!, plan) };
}

/** The same statement on both sides, as someone who mends rows would. */
async function mend(sql: string): Promise<void> {
  for (const database of databases) await database.exec(sql);
}

const constraints = async (): Promise<string[]> =>
  (
    await target.database.query(
      `select conname as name from pg_constraint where connamespace = 'public'::regnamespace and contype in ('f', 'u', 'p')
       order by 1`,
    )
  ).rows.map(({ name }) => name);

const library = (foreignKey: string) => `
  create table author (id int primary key, name text);
  create table book (id int primary key, author_id int ${foreignKey}, title text);`;

const orphans = `
  insert into author select i, 'a' || i from generate_series(1, 100) i;
  insert into book select i, case when i % 1000 = 0 then 1000 + i else 1 + i % 100 end, 't' || i
    from generate_series(1, 4000) i;`;

const inbound = 'constraint book_author references author on delete cascade';

test('orphans keep their foreign key away, and it comes back when they are mended', async () => {
  const { source, runId } = await migrate(library('') + orphans, library(inbound));
  const run = await target.ended(runId, 'findings');
  expect(run.phase).toBe('verify');
  expect(run.error?.hint).toContain(`\`rowfleet requeue --run ${runId} --flow book --reload -c plan.yaml\``);
  expect(run.error?.hint).toContain(`\`rowfleet resume -c plan.yaml ${runId}\``);
  expect(await target.findings(runId)).toEqual([
    {
      check: 'orphans',
      relation: 'public.book',
      summary: expect.stringContaining('4'),
      details: [2000, 3000, 4000, 5000].map((id) => ({
        key: { author_id: String(id) },
        problem: 'orphan',
      })),
    },
  ]);
  expect(await constraints()).toEqual(['author_pkey', 'book_pkey']);

  await target.resume(runId);
  await target.ended(runId, 'findings');
  expect(await target.findings(runId)).toHaveLength(1);

  await mend('update book set author_id = null where author_id > 100');
  await target.resume(runId);
  await target.ended(runId);
  expect(await constraints()).toEqual(['author_pkey', 'book_author', 'book_pkey']);
  await target.expectWhole(source);
});

test.each([
  ['the missing rows are put in', `insert into author select 1000 * i, 'late' from generate_series(2, 5) i`],
  ['the orphans are removed', 'delete from book where author_id > 100'],
])('orphans are mended too where %s, on both sides', async (_, sql) => {
  const { source, runId } = await migrate(library('') + orphans, library(inbound));
  await target.ended(runId, 'findings');
  await mend(sql);
  await target.resume(runId);
  await target.ended(runId);
  expect(await constraints()).toContain('book_author');
  await target.expectWhole(source);
});

test('a row that is mended on one side only is found', async () => {
  const { runId } = await migrate(library('') + orphans, library(inbound));
  await target.ended(runId, 'findings');
  await target.database.exec('delete from book where author_id > 100');
  await target.resume(runId);
  await target.ended(runId, 'findings');
  const found = await target.findings(runId);
  expect(found.map(({ check }) => check).sort()).toEqual(['count', 'digest']);
  expect(await constraints()).not.toContain('book_author');
});

test('doubled keys are listed, and the index is built when they are mended', async () => {
  // A key that may be NULL: doubled rows of one that identifies a row are refused before a run.
  const shape = 'create table item (id int, name text, constraint item_id unique (id));';
  const { source, runId } = await migrate(
    `create table item (id int not null, name text); insert into item select i, 'n' || i % 999 from generate_series(1, 1000) i;
     insert into item values (7, 'again'), (8, 'again')`,
    `${shape} create unique index item_name on item (lower(name)) where name <> 'again'`,
  );
  await target.ended(runId, 'findings');
  const found = await target.findings(runId);
  const built = found.filter(({ check }) => check === 'build');
  expect(built.map(({ relation, details }) => ({ relation, details }))).toEqual(
    expect.arrayContaining([
      {
        relation: 'public.item',
        details: [
          { key: { id: '7' }, problem: 'duplicate' },
          { key: { id: '8' }, problem: 'duplicate' },
        ],
      },
      { relation: 'public.item', details: [{ key: { 'lower(name)': 'n1' }, problem: 'duplicate' }] },
    ]),
  );
  expect(built).toHaveLength(2);
  expect(await constraints()).toEqual([]);

  await mend(`delete from item where name = 'again'; update item set name = 'other' where id = 1000`);
  await target.resume(runId);
  await target.ended(runId);
  await target.expectWhole(source);
});

test('a row that a CHECK refuses fails a run that may set none aside, which says where; it goes on when the row is mended', async () => {
  const { source, runId } = await migrate(
    `create table item (id int primary key, n int); insert into item select i, i from generate_series(1, 5000) i;
     update item set n = -1 where id = 4000`,
    'create table item (id int primary key, n int constraint positive check (n > 0))',
  );
  const { error } = await target.ended(runId, 'failed');
  expect(error?.code).toBe('QUARANTINE_LIMIT');
  expect(error?.message).toMatch(
    /^batch \d+ of item → public\.item \(public\.item from block \d+ to (\d+|its end)\): .* the row at \(\d+,\d+\) of public\.item: check violation \(SQLSTATE 23514\): table public\.item, constraint positive$/,
  );
  const { rows } = await target.database.query(
    `select attempt, failures, state from rowfleet.task where state = 'failed'`,
  );
  expect(rows).toEqual([{ attempt: 2, failures: 1, state: 'failed' }]);

  await source.exec('update item set n = 7 where n < 0');
  await target.resume(runId);
  await target.ended(runId);
  await target.expectWhole(source);
});

test('a NULL that the target refuses fails the run with the column', async () => {
  const { runId } = await migrate(
    `create table item (id int primary key, n int); insert into item values (1, null)`,
    'create table item (id int primary key, n int not null)',
  );
  const { error } = await target.ended(runId, 'failed');
  expect(error).toMatchObject({
    code: 'QUARANTINE_LIMIT',
    message: expect.stringMatching(/not-null violation .*table public\.item, column n/),
  });
});

test('triggers of every state are down during the copy, and come back in it', async () => {
  const shape = `
    create table item (id int primary key, t text);
    create function spoil() returns trigger language plpgsql as 'begin new.t := tg_name; return new; end';
    create trigger origin before insert or update on item for each row execute function spoil();
    create trigger replica before insert or update on item for each row execute function spoil();
    create trigger always before insert or update on item for each row execute function spoil();
    create trigger never before insert or update on item for each row execute function spoil();
    alter table item enable replica trigger replica;
    alter table item enable always trigger always;
    alter table item disable trigger never;`;
  const { source, runId } = await migrate(
    `create table item (id int primary key, t text); insert into item select i, i::text from generate_series(1, 2000) i`,
    shape,
  );
  await target.ended(runId);
  await target.expectWhole(source);
  const { rows } = await target.database.query(
    'select tgname as name, tgenabled as state from pg_trigger where not tgisinternal order by 1',
  );
  expect(rows).toEqual([
    { name: 'always', state: 'A' },
    { name: 'never', state: 'D' },
    { name: 'origin', state: 'O' },
    { name: 'replica', state: 'R' },
  ]);
});
