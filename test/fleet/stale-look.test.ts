import { afterAll, beforeAll, expect, test } from 'vitest';
import { reload } from '../../src/control/reload.ts';
import { until } from '../fleet-processes.ts';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let into: TestDatabase;
let target: Target;

const shape = 'create table book (id serial primary key, title text);';

beforeAll(async () => {
  [source, into] = await Promise.all([createDatabase(15), createDatabase(18)]);
  await source.exec(`${shape} insert into book (title) select 'book ' || i from generate_series(1, 2000) i`);
  await into.exec(shape);
  target = await openTarget(into);
});

afterAll(async () => {
  await target.close();
  await Promise.all([source.drop(), into.drop()]);
});

const waits = (database: TestDatabase, query: string) =>
  until(`something waits in ${query}`, async () => {
    const { rowCount } = await database.query(
      `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ~ $1`,
      [query],
    );
    return rowCount! > 0;
  });

test('what a scheduler was about to write is dropped when people gave the run more to do meanwhile', async () => {
  const [sequence, leader] = [await source.open(), await into.open()];
  const runId = await target.start(source, 'name: p\nmigration: {batch_size: 500}\ntables: [book]');
  await sequence.query('begin; alter sequence public.book_id_seq rename to elsewhere');
  target.startFleet();
  await waits(source, 'last_value'); // The last steps are planned from what source and target hold now.
  await leader.query('begin; select 1 from rowfleet.leader for update'); // Every write of the scheduler waits for this.
  await sequence.query('rollback');
  await waits(into, 'rowfleet.leader .* for key share');

  await target.stop(runId);
  await source.exec(`insert into book (title) select 'late ' || i from generate_series(1, 1000) i`);
  await reload(target.ledger, runId, { scope: 'whole', deleteVanished: true, actor: 'test' });
  await target.resume(runId);
  await leader.query('rollback');
  await target.ended(runId);
  await target.expectWhole(source);
  expect((await into.query('select last_value::int from book_id_seq')).rows).toEqual([{ last_value: 3000 }]);
});
