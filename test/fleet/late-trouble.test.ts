import { afterEach, expect, test } from 'vitest';
import { until } from '../fleet-processes.ts';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let into: TestDatabase;
let target: Target;

afterEach(async () => {
  await target.close();
  await Promise.all([source.drop(), into.drop()]);
});

const shape =
  'create table a (id int primary key, v int); create table b (id int primary key, a_id int references a);';

async function migrate(sourceSql: string, targetSql: string, plan: string): Promise<string> {
  [source, into] = await Promise.all([createDatabase(15), createDatabase(18)]);
  await source.exec(shape + sourceSql);
  await into.exec(shape + targetSql);
  target = await openTarget(into);
  target.startFleet();
  return target.start(source, `name: late\n${plan}`);
}

// A materialized view that the rows make fail, when everything else has passed.
const view = 'create materialized view m as select id, 10 / v as x from a;';
const rows = 'insert into a values (1, 0), (2, 5); insert into b values (1, 2)';

test('what people mend after a failure behind the checks is checked again', async () => {
  const runId = await migrate(rows, view, 'tables: [a, b]');
  expect((await target.ended(runId, 'failed')).phase).toBe('finish');
  await into.exec('update a set v = 777 where id = 1');
  await target.resume(runId);
  await target.ended(runId, 'findings');
  expect((await target.findings(runId)).map(({ check, relation }) => [check, relation])).toEqual([
    ['digest', 'public.a'],
  ]);
  await source.exec('update a set v = 777 where id = 1');
  await target.resume(runId);
  await target.ended(runId);
  await target.expectWhole(source);
});

test('a run that failed with its foreign keys back can be cancelled; what cannot come back keeps the ledger', async () => {
  const others = 'create table other (a_id int references a);';
  const runId = await migrate(rows, view + others, 'tables: [a, b]');
  expect((await target.ended(runId, 'failed')).phase).toBe('finish');
  await into.exec('insert into other values (2)');
  await target.cancel(runId);
  const { error } = await target.ended(runId, 'cancelled');
  expect(error).toMatchObject({ code: 'NOT_RESTORED', message: expect.stringMatching(/^other_a_id_fkey/) });
  const { rows: held } = await into.query(
    `select (select count(*)::int from a) as a, (select count(*)::int from b) as b, (select count(*)::int from other) as other`,
  );
  expect(held).toEqual([{ a: 0, b: 0, other: 1 }]);

  await target.stopFleets();
  const refusal = await target.uninstall().catch((reason) => reason);
  expect(refusal).toMatchObject({
    code: 'NOT_RESTORED',
    message: `foreign key other_a_id_fkey of public.other is down since run ${runId}, and its undo is in the ledger`,
  });
  await into.exec(`delete from other; ${refusal.hint.split('then: ')[1]}`);
  await target.expectCatalogAsBefore();
  await target.uninstall();
  expect((await into.query(`select to_regnamespace('rowfleet') as ledger`)).rows).toEqual([{ ledger: null }]);
});

test('a cancelled run says which foreign key cannot come back over rows that stay, and ends', async () => {
  const runId = await migrate(
    `insert into a select i, i from generate_series(1, 20) i;
     insert into b select i, 1 + i % 20 from generate_series(1, 20000) i`,
    'insert into b values (-1, null);',
    'allow_non_empty: true\nmigration: {batch_size: 300}\ntables: [a, b]',
  );
  await until('batches of b are done', async () => {
    const { rowCount } = await into.query(
      `select 1 from rowfleet.task where kind = 'batch' and state = 'done' and relation = 'public.b'`,
    );
    return rowCount! > 2 ? true : undefined;
  });
  await target.cancel(runId);
  await target.ended(runId, 'cancelled');
  const { rows: events } = await into.query(
    `select message from rowfleet.event where run_id = $1 order by id desc limit 2`,
    [runId],
  );
  expect(events.map(({ message }) => message).join()).toMatch(/b_a_id_fkey/);
});

test('a new start says who keeps it from emptying a table, keeps nobody waiting, and goes on', async () => {
  const runId = await migrate(
    `insert into a select i, i from generate_series(1, 6000) i;
    create function slow(int) returns int language plpgsql stable as 'begin perform pg_sleep(0.0005); return $1; end'`,
    '',
    // Slow enough to be disturbed in the middle.
    'migration: {batch_size: 200}\nflows: [{name: a, from: a s, to: a, columns: {id: s.id, v: slow(s.v)}}]',
  );
  await until('batches are done', async () => {
    const { rowCount } = await into.query(
      `select 1 from rowfleet.task where kind = 'batch' and state = 'done'`,
    );
    return rowCount! > 2 ? true : undefined;
  });
  const reader = await into.open();
  await reader.query('begin; lock table public.a in access share mode');
  await (await source.open()).query(
    'update public.a set v = 7 where id = 1; select pg_stat_force_next_flush()',
  );
  await source.execAsSuperuser(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where application_name like 'rowfleet snapshot keeper%' and datname = current_database()`,
  );
  const waiting = await until('the run says what it waits for', async () => {
    const { rows } = await into.query('select waiting from rowfleet.run where id = $1', [runId]);
    return /lock/.test(rows[0]!.waiting ?? '') ? (rows[0]!.waiting as string) : undefined;
  });
  expect(waiting).toMatch(/to empty public\.a, held by .*pid \d+/);
  await into.query('select count(*) from a');
  await reader.query('rollback');
  await target.ended(runId);
  await target.expectWhole(source, ['a']);
});
