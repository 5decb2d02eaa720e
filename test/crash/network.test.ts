import { afterEach, expect, it, onTestFinished } from 'vitest';
import type { BarrierName } from '../../src/barrier.ts';
import { readRun } from '../../src/ledger/runs.ts';
import { describeWith } from '../describe-with.ts';
import { createBarriers, until } from '../fleet-processes.ts';
import { startRedis } from '../redis.ts';
import { startTcpProxy, type TcpProxy } from '../tcp-proxy.ts';
import { attemptsOf, createScenario, type Scenario } from './scenario.ts';

let scenario: Scenario;
let proxies: TcpProxy[] = [];

afterEach(async () => {
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  await scenario.close();
});

/** A proxy before each of the two servers, and the environment of a process that lives behind them. */
async function startNetwork() {
  const { source, target } = scenario.site;
  const [toSource, toTarget] = await Promise.all([startTcpProxy(source.url), startTcpProxy(target.url)]);
  proxies = [toSource, toTarget];
  const env = {
    SOURCE_DATABASE_URL: toSource.urlOf(source.url),
    TARGET_DATABASE_URL: toTarget.urlOf(target.url),
  };
  return { toSource, toTarget, env };
}

it('the host of a loader that vanishes without a word holds nobody up, and may come back', async () => {
  scenario = await createScenario();
  const { fleet, ledger } = scenario;
  const { env } = await startNetwork();
  const barriers = await createBarriers();
  barriers.hold('copy.commit');
  fleet.start('scheduler');
  fleet.start('validator');
  const vanishing = fleet.start('loader', { barriers, env });
  const runId = await scenario.start();
  await barriers.reached('copy.commit');
  for (const proxy of proxies) proxy.set('drop');
  const { rows } = await ledger.pool.query('select clock_timestamp() as at');
  barriers.release('copy.commit');
  const successor = fleet.start('loader');
  await until('the batch was taken over', async () => (await attemptsOf(ledger, runId)).lost === 1);
  const { rows: taken } = await ledger.pool.query(
    `select extract(epoch from next.started_at - $2)::float8 as seconds
       from rowfleet.attempt lost join rowfleet.attempt next on next.task_id = lost.task_id and next.number = lost.number + 1
      where lost.run_id = $1 and lost.outcome = 'lost'`,
    [runId, rows[0].at],
  );
  expect(taken).toHaveLength(1);
  expect(taken[0].seconds).toBeLessThan(10);
  // Whoever comes back goes on with the rest, on his own.
  successor.kill('SIGKILL');
  for (const proxy of proxies) proxy.set('pass');
  await scenario.expectWhole(runId);
  expect((await attemptsOf(ledger, runId)).doneTwice).toBe(0);
  expect(vanishing.child.exitCode).toBeNull();
});

it('a network that stalls or cuts, on either side, costs time and nothing else', async () => {
  scenario = await createScenario();
  const { fleet, ledger } = scenario;
  const { toSource, toTarget, env } = await startNetwork();
  const barriers = await createBarriers();
  barriers.hold('copy.extract');
  const scheduler = fleet.start('scheduler', { env });
  const validator = fleet.start('validator', { env });
  const loader = fleet.start('loader', { barriers, env });
  const runId = await scenario.start();
  const trouble = async (
    name: BarrierName,
    next: BarrierName | undefined,
    happen: () => Promise<unknown>,
  ) => {
    await barriers.reached(name);
    const happened = happen();
    if (next !== undefined) barriers.hold(next);
    barriers.release(name);
    await happened;
    for (const proxy of proxies) proxy.set('pass');
  };
  const epochIsClosed = (epoch: number) =>
    until(`snapshot ${epoch} is given up`, async () => {
      const { rows } = await ledger.pool.query(
        'select 1 from rowfleet.epoch where run_id = $1 and epoch = $2 and closed_at is not null',
        [runId, epoch],
      );
      return rows.length === 1;
    });
  const says = (text: string) => until(`the scheduler says: ${text}`, () => scheduler.log().includes(text));

  await trouble('copy.extract', 'copy.load', () => {
    toSource.set('stall');
    return epochIsClosed(1);
  });
  await trouble('copy.load', 'copy.record', () => {
    toTarget.set('cut');
    return says('cannot renew the lead');
  });
  await trouble('copy.record', 'copy.commit', () => {
    toSource.set('cut');
    return epochIsClosed(2);
  });
  await trouble('copy.commit', undefined, () => {
    toTarget.set('stall');
    return says('lost the lead');
  });
  await scenario.expectWhole(runId);
  expect((await attemptsOf(ledger, runId)).doneTwice).toBe(0);
  for (const { child } of [scheduler, validator, loader]) expect(child.exitCode).toBeNull();
});

describeWith('redis', 'with the queue in Redis', () => {
  it('a network that drops what goes to the queue is named, and costs time and nothing else', async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const toRedis = await startTcpProxy(redis.url);
    proxies = [toRedis];
    scenario = await createScenario(toRedis.urlOf(redis.url));
    const { fleet, ledger } = scenario;
    const barriers = await createBarriers();
    barriers.hold('copy.load');
    for (const kind of ['scheduler', 'validator', 'loader'] as const) fleet.start(kind, { barriers });
    const runId = await scenario.start();
    await barriers.reached('copy.load');
    toRedis.set('drop');
    barriers.release('copy.load');
    await until('the run says what it waits for', async () => {
      const { waiting } = await readRun(ledger.pool, runId);
      return waiting?.startsWith('the queue at Redis');
    });
    toRedis.set('pass');
    await scenario.expectWhole(runId);
  });
});
