import { afterEach, expect, test } from 'vitest';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let databases: TestDatabase[] = [];
let target: Target;

afterEach(async () => {
  await target.close();
  await Promise.all(databases.map((database) => database.drop()));
});

async function start(): Promise<string> {
  const [source, into] = await Promise.all([createDatabase(15), createDatabase(18)]);
  databases = [source!, into!];
  const shape = 'create table item (id int primary key, t text);';
  await source!.exec(`${shape} insert into item select i, 't' || i from generate_series(1, 5000) i`);
  await into!.exec(shape);
  target = await openTarget(into!);
  return target.start(source!, 'name: moved\nmigration: {batch_size: 100}\ntables: "*"');
}

const change = (path: string, value: string) =>
  target.database.query(`update rowfleet.run set plan = jsonb_set(plan, $1, $2)`, [path, value]);

test.each([
  ['an expression', '{flows,0,columns,1,copyExpression}', '"(select current_user)"'],
  ['the level of the checks', '{settings,validationLevel}', '"basic"'],
])('a run whose plan was changed by hand in the ledger is refused: %s', async (_, path, value) => {
  const runId = await start();
  await change(path, value);
  target.startFleet();
  const { error } = await target.ended(runId, 'failed');
  expect(error).toMatchObject({
    code: 'PLAN_MOVED',
    message: expect.stringContaining(`the plan of run ${runId} in the ledger does not match its hash`),
    hint: expect.stringContaining('cancel the run'),
  });
  const { rows } = await target.database.query('select count(*)::int as n from item');
  expect(rows).toEqual([{ n: 0 }]);
  await target.cancel(runId);
  await target.ended(runId, 'cancelled');
  await target.expectCatalogAsBefore();
});

test('a plan that is changed in the middle is refused too', async () => {
  const runId = await start();
  // By the first batch that is done; the validator is the first to read the plan after that.
  await target.database.exec(`
    create function rowfleet.change() returns trigger language plpgsql as
      'begin update rowfleet.run set plan = jsonb_set(plan, ''{flows,0,where}'', ''"false"''); return null; end';
    create trigger change after update of state on rowfleet.task for each row
      when (new.state = 'done' and new.kind = 'batch') execute function rowfleet.change();`);
  target.startFleet();
  const { error } = await target.ended(runId, 'failed');
  expect(error?.code).toBe('PLAN_MOVED');
});
