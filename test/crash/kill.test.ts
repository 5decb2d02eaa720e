import { afterEach, expect, it } from 'vitest';
import { type BarrierName, barrierNames } from '../../src/barrier.ts';
import { describeWith } from '../describe-with.ts';
import { createBarriers, ended } from '../fleet-processes.ts';
import { type RedisServer, startRedis } from '../redis.ts';
import { attemptsOf, createScenario, type Scenario } from './scenario.ts';

let scenario: Scenario;
let redis: RedisServer | undefined;

afterEach(async () => {
  await scenario.close();
  await redis?.stop();
  redis = undefined;
});

/** The target takes every row but one, a note that nothing needs, which is the last of the notes. */
async function refuseOneRow({ site }: Scenario): Promise<void> {
  await site.source.exec(`insert into note values (null, 'refused')`);
  await site.target.exec(`alter table note add constraint welcome check (body <> 'refused')`);
}

/** Runs a migration in which the process that stands at each of these barriers is killed, and another takes its place. */
async function killAtEach(names: readonly BarrierName[]): Promise<string> {
  const { fleet } = scenario;
  const barriers = await createBarriers();
  barriers.hold(names[0]!);
  for (const kind of ['scheduler', 'validator', 'loader'] as const) fleet.start(kind, { barriers });
  const runId = await scenario.start();
  for (const [i, name] of names.entries()) {
    const pid = await barriers.reached(name);
    const next = names[i + 1];
    if (next !== undefined) barriers.hold(next);
    const victim = fleet.processes.find(({ child }) => child.pid === pid)!;
    victim.kill('SIGKILL');
    await victim.exited;
    barriers.release(name);
    fleet.start(victim.kind, { barriers });
  }
  return runId;
}

/** Nothing is lost, doubled or left behind, and the refused row is told. */
async function expectWholeButOne(runId: string): Promise<void> {
  const { ledger, site } = scenario;
  await ended(ledger, runId, 'quarantined');
  const { rows } = await ledger.pool.query(
    `select relation, code, constraint_name as name, state from rowfleet.quarantine where run_id = $1`,
    [runId],
  );
  expect(rows).toEqual([{ relation: 'public.note', code: '23514', name: 'welcome', state: 'held' }]);
  await site.source.exec(`delete from note where body = 'refused'`);
  await scenario.expectSame();
  expect((await attemptsOf(ledger, runId)).doneTwice).toBe(0);
}

// One kill after the other, each followed by a lease that has to run out.
it('a process killed at any of the barriers loses nothing', { timeout: 300_000 }, async () => {
  scenario = await createScenario();
  await refuseOneRow(scenario);
  await expectWholeButOne(await killAtEach(barrierNames));
});

describeWith('redis', 'with the queue in Redis', () => {
  it('a loader or a validator killed beside its job loses nothing', async () => {
    redis = await startRedis();
    scenario = await createScenario(redis.url);
    await refuseOneRow(scenario);
    await expectWholeButOne(
      await killAtEach(['task.claimed', 'copy.load', 'task.done', 'index.build', 'check.record']),
    );
  });
});
