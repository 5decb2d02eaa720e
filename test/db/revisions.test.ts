import { expect, it, onTestFinished } from 'vitest';
import { type ClaimedTask, claimTask } from '../../src/ledger/claim.ts';
import { finishTask, lockClaim, PlanRevised } from '../../src/ledger/fence.ts';
import { insertRevision, lockPlan } from '../../src/ledger/revisions.ts';
import { readRun } from '../../src/ledger/runs.ts';
import { insertTask, readOpenTasks } from '../../src/ledger/tasks.ts';
import { withSession } from '../../src/pg/session.ts';
import { inTransaction } from '../../src/pg/transaction.ts';
import { RunPlans } from '../../workers/run-plans.ts';
import { until } from '../fleet-processes.ts';
import { createLedger, createRun, emptyPlan } from '../ledger.ts';
import { createDatabase } from '../postgres.ts';

it('no work spans two plans: a revision waits for what has begun, and what was only claimed is tried again', async () => {
  const db = await createDatabase(15);
  const ledger = await createLedger(db);
  onTestFinished(async () => {
    await ledger.close();
    await db.drop();
  });
  const runId = await createRun(ledger);
  for (const name of ['a', 'b']) await insertTask(ledger.pool, runId, 'check', name, {});
  const tasks = await readOpenTasks(ledger.pool, runId);
  const [one, two] = [await db.open(), await db.open()];
  const begun = (await claimTask(one, 'w', tasks[0]!.id)) as ClaimedTask;
  const claimed = (await claimTask(two, 'w', tasks[1]!.id)) as ClaimedTask;
  let revised = false;

  await one.query('begin');
  await lockClaim(one, begun);
  const revising = withSession(ledger.pool, (tx) =>
    inTransaction(tx, 'read committed', async () => {
      await lockPlan(tx, runId);
      const plan = { ...emptyPlan, settings: { ...emptyPlan.settings, maxRetries: 9 } };
      return insertRevision(tx, runId, {
        ...{ plan, planHash: 'other', planFile: 'plan.yaml', actor: 'test', summary: 'more tries' },
      });
    }),
  ).finally(() => {
    revised = true;
  });
  await until('the revision waits', async () => {
    const { rowCount } = await db.query(`select 1 from pg_locks where locktype = 'advisory' and not granted`);
    return rowCount === 1;
  });
  expect(revised).toBe(false);
  await finishTask(one, begun, { seconds: 1 });
  await one.query('commit');
  expect(await revising).toBe(2);

  await expect(inTransaction(two, 'read committed', () => lockClaim(two, claimed))).rejects.toThrow(
    PlanRevised,
  );
  await expect(new RunPlans(ledger.pool, 1).load(claimed)).rejects.toThrow(PlanRevised);
  expect(await readRun(ledger.pool, runId)).toMatchObject({ revision: 2, planHash: 'other' });
  const { rows } = await db.query(
    'select revision, plan_hash, actor, summary from rowfleet.plan_revision order by 1',
  );
  expect(rows).toEqual([
    { revision: 1, plan_hash: 'hash', actor: 'unknown', summary: 'started' },
    { revision: 2, plan_hash: 'other', actor: 'test', summary: 'more tries' },
  ]);
  const { rows: done } = await db.query('select revision from rowfleet.task where id = $1', [begun.taskId]);
  expect(done).toEqual([{ revision: 1 }]);
});
