import { afterAll, beforeAll, expect, test } from 'vitest';
import { readFilledTables } from '../../src/ledger/filled-tables.ts';
import { readRun } from '../../src/ledger/runs.ts';
import { until } from '../fleet-processes.ts';
import { openTarget, type Target, variableOf } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

/** Two sources, of different versions, with rows of the same keys in tables of the same name. */
let [north, south]: TestDatabase[] = [];
let database: TestDatabase;
let target: Target;

const shape = (name: string) => `
  create table ${name} (id int primary key, name text not null unique, at timestamptz);`;

beforeAll(async () => {
  [north, south, database] = await Promise.all([createDatabase(14), createDatabase(15), createDatabase(18)]);
  for (const [source, name] of [
    [north!, 'north'],
    [south!, 'south'],
  ] as const) {
    await source.exec(`${shape('customer')} ${shape('extra')}
      insert into customer select i, '${name} ' || i, now() from generate_series(1, 20000) i;
      insert into extra select i, '${name} extra ' || i from generate_series(1, 10) i; analyze`);
  }
  await database.exec(shape('north') + shape('south') + shape('extra'));
  target = await openTarget(database);
});

afterAll(async () => {
  await target.close();
  await Promise.all([north, south, database].map((each) => each?.drop()));
});

const plan = (name: string, tables = '') => `
name: ${name}
migration: {batch_size: 1000}
${tables}
flows:
  - {name: customers, from: customer c, to: ${name}, columns: {id: c.id, name: c.name, at: c.at}}
`;

const pairOf = (name: string) => [
  { source: { schema: 'public', name: 'customer' }, target: { schema: 'public', name } },
];

const thrown = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

test('a plan with an unfinished run is refused, and one that fills one of its tables', async () => {
  const runId = await target.start(north!, plan('north', 'tables: [extra]'));
  expect(await thrown(target.start(north!, plan('north')))).toMatchObject({
    code: 'RUN_UNFINISHED',
    kind: 'usage',
    message: `run ${runId} of plan "north" is running in phase prepare`,
    hint: expect.stringContaining(`rowfleet resume -c plan.yaml ${runId}`),
  });
  expect(await thrown(target.start(south!, plan('south', 'tables: [extra]')))).toMatchObject({
    code: 'RUN_OVERLAPS',
    kind: 'usage',
    message: `run ${runId} of plan "north" is unfinished and fills public.extra too`,
  });
  expect((await readFilledTables(target.ledger.pool)).get('public.extra')).toMatchObject({
    id: runId,
    name: 'north',
  });
  await target.stop(runId);
  expect(await thrown(target.start(north!, plan('north')))).toMatchObject({ code: 'RUN_UNFINISHED' });
});

test('two runs go side by side, from two sources, and nothing is mixed up', async () => {
  const { rows } = await database.query(`select id from rowfleet.run where name = 'north'`);
  const northRun: string = rows[0]!.id;
  await target.resume(northRun);
  const southRun = await target.start(south!, plan('south'));
  target.startFleet();
  await Promise.all([target.ended(northRun), target.ended(southRun)]);
  await target.expectWhole(north!, [...pairOf('north'), 'extra']);
  await target.expectWhole(south!, pairOf('south'));

  const { rows: overlap } = await database.query(
    `select a.started_at < b.ended_at and b.started_at < a.ended_at as together from
       (select min(started_at) as started_at, max(ended_at) as ended_at from rowfleet.attempt where run_id = $1) a,
       (select min(started_at) as started_at, max(ended_at) as ended_at from rowfleet.attempt where run_id = $2) b`,
    [northRun, southRun],
  );
  expect(overlap).toEqual([{ together: true }]);
});

test('when it has ended, its plan may be run again', async () => {
  await database.exec('truncate north, extra');
  const again = await target.start(north!, plan('north', 'tables: [extra]'));
  await target.ended(again);
  await target.expectWhole(north!, [...pairOf('north'), 'extra']);
});

test('a scheduler that was not told where the source is says so, and drives the run once it knows', async () => {
  await database.exec('truncate north, extra');
  const variable = variableOf(north!);
  const runId = await target.start(north!, plan('north', 'tables: [extra]'));
  delete process.env[variable];
  try {
    await until('the run says what it waits for', async () => {
      const { waiting } = await readRun(target.ledger.pool, runId);
      return waiting?.startsWith('the scheduler cannot tell the source: ') && waiting.includes(variable);
    });
  } finally {
    variableOf(north!);
  }
  await target.ended(runId);
});
