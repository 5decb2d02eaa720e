import { afterEach, beforeEach, expect, it } from 'vitest';
import { createBarriers, until } from '../fleet-processes.ts';
import { attemptsOf, createScenario, type Scenario } from './scenario.ts';

let scenario: Scenario;

beforeEach(async () => {
  scenario = await createScenario();
});

afterEach(() => scenario.close());

/** Who leads, as the ledger has it, and its clock in seconds. */
async function readLeader(): Promise<{ epoch: number; pid: number; at: number }> {
  const { rows } = await scenario.ledger.pool.query(
    `select l.epoch::int, w.pid, extract(epoch from clock_timestamp())::float8 as at
       from rowfleet.leader l join rowfleet.worker w on w.id = l.worker`,
  );
  return rows[0];
}

it('a leader that dies or sleeps is followed within seconds, and one that wakes up writes no more', async () => {
  const { fleet, ledger } = scenario;
  const barriers = await createBarriers();
  const leading = (pid: number | undefined) =>
    until('the lead changes', async () => {
      const leader = await readLeader();
      return leader?.pid === pid && leader;
    });
  barriers.hold('copy.cut');
  const first = fleet.start('scheduler', { barriers });
  await leading(first.child.pid);
  const second = fleet.start('scheduler', { barriers });
  fleet.start('validator');
  fleet.start('loader');
  await until('a standby is there', async () => {
    const { rows } = await ledger.pool.query(
      `select count(*)::int as n from rowfleet.worker where kind = 'scheduler'`,
    );
    return rows[0].n === 2;
  });
  const runId = await scenario.start();

  // It dies with batches cut and uncommitted.
  expect(await barriers.reached('copy.cut')).toBe(first.child.pid);
  const { at: diedAt } = await readLeader();
  first.kill('SIGKILL');
  const followed = await leading(second.child.pid);
  expect(followed.at - diedAt).toBeLessThan(8);

  // It falls asleep in the middle of a write, and wakes up when another leads.
  const third = fleet.start('scheduler', { barriers });
  expect(await barriers.reached('copy.cut', [first.child.pid])).toBe(second.child.pid);
  const { at: asleepAt } = await readLeader();
  second.kill('SIGSTOP');
  const again = await leading(third.child.pid);
  expect(again.at - asleepAt).toBeLessThan(8);
  barriers.release('copy.cut');
  second.kill('SIGCONT');
  await until('who woke up has noticed', () => second.log().includes('lost the lead'));
  await scenario.expectWhole(runId);
  expect(await readLeader()).toMatchObject({ epoch: 3, pid: third.child.pid });
  expect((await attemptsOf(ledger, runId)).doneTwice).toBe(0);
  const { rows } = await ledger.pool.query(
    `select flow from rowfleet.task where run_id = $1 and kind = 'batch' group by flow, spec having count(*) > 1`,
    [runId],
  );
  expect(rows).toEqual([]);
});
