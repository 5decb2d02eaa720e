import { afterEach, describe, expect, it } from 'vitest';
import { describeWith } from '../describe-with.ts';
import { createBarriers, until } from '../fleet-processes.ts';
import { type RedisServer, startRedis } from '../redis.ts';
import { attemptsOf, createScenario, type Scenario } from './scenario.ts';

let scenario: Scenario;
let redis: RedisServer | undefined;

afterEach(async () => {
  await scenario.close();
  await redis?.stop();
  redis = undefined;
});

const countOf = async (state: string) =>
  (
    await scenario.ledger.pool.query(
      `select count(*)::int as n from rowfleet.task where kind = 'batch' and state = $1`,
      [state],
    )
  ).rows[0].n as number;

function sleeps(begin: () => Promise<Scenario>): void {
  it('a loader that sleeps past its lease loses its batch, and wakes up to nothing', async () => {
    scenario = await begin();
    const { fleet, ledger } = scenario;
    const barriers = await createBarriers();
    barriers.hold('copy.commit');
    fleet.start('scheduler');
    fleet.start('validator');
    const sleeper = fleet.start('loader', { barriers });
    const runId = await scenario.start();
    await barriers.reached('copy.commit');
    sleeper.kill('SIGSTOP');
    fleet.start('loader');
    await until('the batch was taken over', async () => (await attemptsOf(ledger, runId)).lost === 1);
    barriers.release('copy.commit');
    sleeper.kill('SIGCONT');
    await scenario.expectWhole(runId);
    expect(await attemptsOf(ledger, runId)).toMatchObject({ lost: 1, doneTwice: 0 });
  });
}

describe('with the queue in PostgreSQL', () => {
  sleeps(() => createScenario());

  it('a loader that is asked to leave rolls back what it cannot finish, hands it back and goes', async () => {
    scenario = await createScenario();
    const { fleet, ledger } = scenario;
    const barriers = await createBarriers();
    barriers.hold('copy.extract');
    fleet.start('scheduler');
    fleet.start('validator');
    const leaver = fleet.start('loader', { barriers });
    const runId = await scenario.start();
    await barriers.reached('copy.extract');
    const application = await scenario.site.target.open();
    await application.query('begin; lock table public.author, public.book, public.note in share mode');
    barriers.release('copy.extract');
    const asked = Date.now();
    leaver.kill('SIGTERM');
    expect(await leaver.exited).toBe(0);
    expect(Date.now() - asked).toBeLessThan(15_000);
    expect(await attemptsOf(ledger, runId)).toMatchObject({ 'handed back': 1 });
    await application.query('rollback');
    fleet.start('loader');
    await scenario.expectWhole(runId);
    expect(await attemptsOf(ledger, runId)).toMatchObject({ 'handed back': 1, doneTwice: 0 });
  });

  it('the whole fleet killed in the middle goes on with a new one', async () => {
    scenario = await createScenario();
    const { fleet, ledger } = scenario;
    fleet.start('scheduler');
    fleet.start('validator');
    fleet.start('loader', { concurrency: 2 });
    const runId = await scenario.start();
    await until('some batches are done', async () => (await countOf('done')) >= 3);
    await fleet.killAll();
    expect(await countOf('done')).toBeGreaterThanOrEqual(3);
    fleet.start('scheduler');
    fleet.start('validator');
    fleet.start('loader', { concurrency: 2 });
    await scenario.expectWhole(runId);
    expect((await attemptsOf(ledger, runId)).doneTwice).toBe(0);
  });
});

describeWith('redis', 'with the queue in Redis', () => {
  const begin = async () => {
    redis = await startRedis();
    return createScenario(redis.url);
  };
  sleeps(begin);

  it('a queue that is emptied, and one that is killed and restarted empty, lose nothing', async () => {
    scenario = await begin();
    const { fleet } = scenario;
    const barriers = await createBarriers();
    barriers.hold('copy.load');
    fleet.start('scheduler');
    fleet.start('validator');
    fleet.start('loader', { barriers });
    const runId = await scenario.start();
    await barriers.reached('copy.load');
    await redis!.flush();
    barriers.hold('copy.commit');
    barriers.release('copy.load');
    await barriers.reached('copy.commit');
    await redis!.restartEmpty();
    barriers.release('copy.commit');
    await scenario.expectWhole(runId);
  });
});
