import { afterEach, expect, it } from 'vitest';
import type { BarrierName } from '../../src/barrier.ts';
import { type Barriers, createBarriers, until } from '../fleet-processes.ts';
import { type OwnServer, startOwnServer } from '../own-server.ts';
import { connect } from '../postgres.ts';
import { attemptsOf, createScenario, type Scenario } from './scenario.ts';

let scenario: Scenario;
let source: OwnServer;
let target: OwnServer;
let barriers: Barriers;

afterEach(() => scenario.close());

async function begin() {
  [source, target] = await Promise.all([startOwnServer(15, 'library'), startOwnServer(18, 'library')]);
  const database = (version: 15 | 18, server: OwnServer) =>
    connect(version, 'library', server.url, server.superuserUrl, () => server.remove());
  scenario = await createScenario(undefined, {
    source: database(15, source),
    target: database(18, target),
  });
  barriers = await createBarriers();
}

/** Lets `fault` happen while the fleet goes on and one process stands at the barrier. */
async function whileAt(name: BarrierName, fault: () => Promise<void>): Promise<void> {
  barriers.hold(name);
  await barriers.reached(name);
  await fault();
  barriers.release(name);
}

const epochs = async () =>
  (await scenario.ledger.pool.query('select count(*)::int as n from rowfleet.epoch')).rows[0].n as number;
const restarts = async () =>
  (await scenario.ledger.pool.query(`select message from rowfleet.event where message like '%starts again%'`))
    .rows.length;

it('servers that go away and come back, on either side and in every phase, lose nothing', async () => {
  await begin();
  const { fleet } = scenario;
  const scheduler = fleet.start('scheduler');
  for (const kind of ['validator', 'loader'] as const) fleet.start(kind, { barriers });
  barriers.hold('copy.commit');
  const runId = await scenario.start();

  // The snapshot is lost, and nothing was written: what is copied stays copied.
  await whileAt('copy.commit', async () => {
    await source.shutDown('fast');
    await source.start();
  });
  await until('another snapshot is open', async () => (await epochs()) === 2);
  expect(await restarts()).toBe(0);

  // It is lost, and somebody writes before there is another: everything that was read before is copied again.
  await whileAt('copy.extract', async () => {
    scheduler.kill('SIGSTOP');
    await source.shutDown('immediate');
    await source.start();
    await source.exec(`update book set title = 'late' where id = 1; delete from note where book_id < 100`);
    scheduler.kill('SIGCONT');
  });
  await until('the copy starts again', async () => (await restarts()) > 0);

  // The target holds rows, ledger and queue.
  await whileAt('copy.load', async () => {
    await target.shutDown('immediate');
    await target.start();
  });
  await whileAt('index.build', async () => {
    await target.shutDown('fast');
    await target.start();
  });
  await whileAt('check.compare', async () => {
    await source.shutDown('immediate');
    await source.start();
  });
  await scenario.expectWhole(runId);
  expect((await attemptsOf(scenario.ledger, runId)).doneTwice).toBe(0);
});
