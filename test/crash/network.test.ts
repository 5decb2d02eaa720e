import { afterEach, expect, it } from 'vitest';
import { createBarriers, until } from '../fleet-processes.ts';
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
