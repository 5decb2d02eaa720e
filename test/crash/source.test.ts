import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BarrierName } from '../../src/barrier.ts';
import { createBarriers, type FleetProcess, until } from '../fleet-processes.ts';
import { attemptsOf, createScenario, type Scenario } from './scenario.ts';

let scenario: Scenario;

beforeEach(async () => {
  scenario = await createScenario();
});

afterEach(() => scenario.close());

/** Starts a fleet and lets its loader stop in the middle of the book table, with some batches done. */
async function stopInTheMiddle(at: BarrierName = 'copy.extract') {
  const { fleet, ledger } = scenario;
  const barriers = await createBarriers();
  const scheduler = fleet.start('scheduler');
  fleet.start('validator');
  const loader = fleet.start('loader', { barriers });
  const runId = await scenario.start();
  await until('some books are copied', async () => {
    const { rows } = await ledger.pool.query(
      `select 1 from rowfleet.task where flow = 'book' and state = 'done' having count(*) >= 2`,
    );
    return rows.length > 0;
  });
  barriers.hold(at);
  await barriers.reached(at);
  return { runId, barriers, scheduler, loader };
}

/** Kills the scheduler, and its snapshot with it; then lets `change` happen before a new one comes. */
async function whileNobodyKeeps(scheduler: FleetProcess, change: () => Promise<void>): Promise<void> {
  scheduler.kill('SIGKILL');
  await scheduler.exited;
  await until('the keeper is gone', async () => {
    const { rowCount } = await scenario.site.source.query(
      `select 1 from pg_stat_activity where application_name like 'rowfleet snapshot keeper%' and datname = current_database()`,
    );
    return rowCount === 0;
  });
  await change();
  scenario.fleet.start('scheduler');
}

const restarts = async () =>
  (await scenario.ledger.pool.query(`select message from rowfleet.event where message like '%starts again%'`))
    .rows;

describe('the source', () => {
  it('cannot be rewritten while the snapshot is kept, and one that stayed as it was is not copied twice', async () => {
    const { runId, barriers, scheduler } = await stopInTheMiddle();
    const owner = await scenario.site.source.open();
    await owner.query(`set lock_timeout = '200ms'`);
    await expect(owner.query('vacuum full public.book')).rejects.toMatchObject({ code: '55P03' });
    await whileNobodyKeeps(scheduler, async () => {});
    barriers.release('copy.extract');
    await scenario.expectWhole(runId);
    expect(await restarts()).toEqual([]);
  });

  it('is not mixed: a batch that outlives its snapshot is copied again under the next one', async () => {
    const { runId, barriers, scheduler } = await stopInTheMiddle('copy.record');
    await whileNobodyKeeps(scheduler, async () => {});
    await until('the next snapshot is open', async () => {
      const { rows } = await scenario.ledger.pool.query(
        'select 1 from rowfleet.epoch where epoch = 2 and closed_at is null',
      );
      return rows.length > 0;
    });
    barriers.release('copy.record');
    await scenario.expectWhole(runId);
    expect(await attemptsOf(scenario.ledger, runId)).toMatchObject({ 'handed back': 1, doneTwice: 0 });
  });

  it('that was rewritten while nobody kept a snapshot is copied again from nothing', async () => {
    const { runId, barriers, scheduler, loader } = await stopInTheMiddle();
    loader.kill('SIGKILL');
    await whileNobodyKeeps(scheduler, () => scenario.site.source.exec('vacuum full book'));
    barriers.release('copy.extract');
    scenario.fleet.start('loader');
    await scenario.expectWhole(runId);
    expect(await restarts()).toHaveLength(1);
  });

  it('that was written to while nobody kept a snapshot is copied again from nothing', async () => {
    const { runId, barriers, scheduler, loader } = await stopInTheMiddle();
    loader.kill('SIGKILL');
    await whileNobodyKeeps(scheduler, () =>
      scenario.site.source.exec(
        `update book set title = 'late' where id = 1; delete from note where book_id < 100`,
      ),
    );
    barriers.release('copy.extract');
    scenario.fleet.start('loader');
    await scenario.expectWhole(runId);
    expect(await restarts()).toHaveLength(1);
  });
});
