import { Redis } from 'ioredis';
import { afterEach, expect, test } from 'vitest';
import { describeWith } from '../describe-with.ts';
import { until } from '../fleet-processes.ts';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';
import { type RedisServer, startRedis } from '../redis.ts';

let databases: TestDatabase[] = [];
let target: Target;

afterEach(async () => {
  await target.close();
  await Promise.all(databases.map((database) => database.drop()));
});

const shape = `
  create table parent (id int primary key, name text not null);
  create table item (id bigint generated always as identity, parent_id int constraint item_parent references parent
      on delete cascade deferrable, name text, amount numeric check (amount >= 0),
    constraint item_key primary key (id) with (fillfactor = 70));
  create unique index item_name on item (lower(name)) where amount > 1;
  comment on index item_name is 'kept';
  alter table item cluster on item_key;
  alter table item replica identity using index item_key;
  create function touch() returns trigger language plpgsql as 'begin new.name := ''touched''; return new; end';
  create trigger item_touch before insert on item for each row execute function touch();
  alter table item enable always trigger item_touch;
  create table parted (k int primary key, t text) partition by range (k);
  create table parted_1 partition of parted for values from (0) to (5000);
  create table parted_2 partition of parted default;
  create index on parted (t);
  create table kept (id int primary key, t text unique);`;

/** Migrates until some batches are in and some are not. */
async function migrateHalf(queueUrl?: string): Promise<string> {
  const [source, into] = await Promise.all([createDatabase(15), createDatabase(18)]);
  databases = [source!, into!];
  await source!.exec(shape);
  await source!.exec(`
    alter table item disable trigger item_touch;
    insert into parent select i, 'p' || i from generate_series(1, 100) i;
    insert into item (parent_id, name, amount) select 1 + i % 100, 'i' || i, i from generate_series(1, 60000) i;
    insert into parted select i, 't' || i from generate_series(1, 10000) i; analyze;`);
  await into!.exec(shape);
  await into!.exec(`insert into kept values (1, 'was here')`);
  target = await openTarget(into!, queueUrl);
  target.startFleet();
  const runId = await target.start(
    source!,
    'name: half\nmigration: {batch_size: 500}\ntables: [parent, item, parted]',
  );
  await until('some batches are in', async () => {
    const { rows } = await target.ledger.pool.query(
      `select count(*)::int as n from rowfleet.task where kind = 'batch' and state = 'done' and rows_in > 0`,
    );
    return rows[0].n >= 4;
  });
  return runId;
}

async function expectAsBefore(): Promise<void> {
  await target.expectCatalogAsBefore();
  const { rows } = await target.database.query(
    `select (select count(*) from parent) + (select count(*) from item) + (select count(*) from parted) as rows,
            (select string_agg(t, ',') from kept) as kept`,
  );
  expect(rows).toEqual([{ rows: '0', kept: 'was here' }]);
}

async function schemas(): Promise<string[]> {
  const { rows } = await target.database.query(
    `select nspname as name from pg_namespace where nspname !~ '^pg_' order by 1`,
  );
  return rows.map(({ name }) => name);
}

test('a run that is cancelled in the middle leaves the target as it was, and uninstall no trace', async () => {
  const runId = await migrateHalf();
  const { rows: down } = await target.database.query(
    `select count(*)::int as n from rowfleet.object where state = 'down'`,
  );
  expect(down[0]?.n).toBeGreaterThan(5);
  await expect(target.uninstall()).rejects.toMatchObject({ code: 'RUN_UNFINISHED' });
  await target.cancel(runId);
  await target.ended(runId, 'cancelled');
  await expectAsBefore();
  const { rows } = await target.database.query(
    `select count(*)::int as n from rowfleet.task where state in ('waiting', 'running')`,
  );
  expect(rows).toEqual([{ n: 0 }]);
  await target.stopFleets();
  await target.uninstall();
  expect(await schemas()).toEqual(['information_schema', 'public']);
  await expectAsBefore();
});

test('a run that was stopped, and its fleet with it, is cancelled by another fleet', async () => {
  const runId = await migrateHalf();
  await target.stop(runId);
  await target.stopFleets();
  await target.cancel(runId);
  target.startFleet();
  await target.ended(runId, 'cancelled');
  await expectAsBefore();
  // And the plan may be run anew.
  const again = await target.start(
    databases[0]!,
    'name: half\nmigration: {batch_size: 20000}\ntables: [parent, item, parted]',
  );
  await target.ended(again);
  await target.expectWhole(databases[0]!, ['parent', 'item', 'parted']);
});

describeWith('redis', 'with the queue in Redis', () => {
  let redis: RedisServer;
  afterEach(() => redis.stop());

  test('uninstall leaves no key of this ledger, and those of others', async () => {
    redis = await startRedis();
    const runId = await migrateHalf(redis.url);
    const client = new Redis(redis.url);
    expect(await client.dbsize()).toBeGreaterThan(0);
    await client.set('rowfleet-elsewhere:copy', 'of another ledger');
    await target.cancel(runId);
    await target.ended(runId, 'cancelled');
    await target.stopFleets();
    await target.uninstall();
    expect(await client.keys('*')).toEqual(['rowfleet-elsewhere:copy']);
    expect(await schemas()).toEqual(['information_schema', 'public']);
    client.disconnect();
  });
});
