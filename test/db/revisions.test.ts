import { expect, it, onTestFinished } from 'vitest';
import { type ClaimedTask, claimTask } from '../../src/ledger/claim.ts';
import { finishTask, lockClaim, PlanRevised } from '../../src/ledger/fence.ts';
import { insertRevision, lockPlan } from '../../src/ledger/revisions.ts';
import { readRun } from '../../src/ledger/runs.ts';
import { insertTask, readOpenTasks } from '../../src/ledger/tasks.ts';
import { withSession } from '../../src/pg/session.ts';
import { inTransaction } from '../../src/pg/transaction.ts';
import { planHash } from '../../src/plan/hash.ts';
import { type LoadedRun, RunPlans } from '../../workers/run-plans.ts';
import { until } from '../fleet-processes.ts';
import { openTarget } from '../in-process-fleet.ts';
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

it('a claim that is older than the plan that a worker knows ends nobody’s sessions', async () => {
  const [source, into] = [await createDatabase(15), await createDatabase(18)];
  for (const each of [source, into]) await each.exec('create table book (id int primary key)');
  const target = await openTarget(into);
  const { pool } = target.ledger;
  const plans = new RunPlans(pool, 2);
  onTestFinished(async () => {
    await plans.close();
    await target.close();
    await Promise.all([source.drop(), into.drop()]);
  });
  const runId = await target.start(source, 'name: p\ntables: [book]');
  const first = await readRun(pool, runId);
  const load = (hash: string) => plans.load({ runId, planHash: hash } as ClaimedTask);
  const ask = (run: LoadedRun) =>
    run.withSource(new AbortController().signal, (session) => session.query('select 1'));

  // The older claim is the later one to load.
  const known = load(first.planHash);
  await expect(load('the one before')).rejects.toThrow(PlanRevised);
  await expect(ask(await known)).resolves.toMatchObject({ rowCount: 1 });

  const plan = { ...first.plan, settings: { ...first.plan.settings, maxRetries: 9 } };
  const hash = planHash(plan);
  await withSession(pool, (tx) =>
    insertRevision(tx, runId, {
      ...{ plan, planHash: hash, planFile: 'plan.yaml', actor: 'test', summary: 'more tries' },
    }),
  );
  const under = ask(await known);
  const next = await load(hash);
  await expect(under).resolves.toMatchObject({ rowCount: 1 });
  await expect(ask(await known)).rejects.toThrow(PlanRevised);
  await expect(load(first.planHash)).rejects.toThrow(PlanRevised);
  await expect(ask(next)).resolves.toMatchObject({ rowCount: 1 });
});
