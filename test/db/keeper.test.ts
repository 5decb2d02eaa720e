import { afterAll, beforeAll, expect, test } from 'vitest';
import { copyBatch } from '../../src/copy/copy-batch.ts';
import { findStaleFlows, openEpoch } from '../../src/copy/keeper.ts';
import { type ClaimedTask, claimTask } from '../../src/ledger/claim.ts';
import { insertEpoch } from '../../src/ledger/epochs.ts';
import { sealFrom } from '../../src/ledger/seal.ts';
import { readOpenTasks } from '../../src/ledger/tasks.ts';
import { openSession } from '../../src/pg/session.ts';
import type { ResolvedPlan } from '../../src/plan/resolved-plan.ts';
import { handMadePlan } from '../hand-made-plan.ts';
import { createLedger, createRun } from '../ledger.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let plan: ResolvedPlan;

beforeAll(async () => {
  source = await createDatabase(18);
  await source.exec('create table item (id int primary key, v int); insert into item values (1, 1)');
  plan = handMadePlan([{ from: 'item i', to: 'item', columns: { id: ['i.id', 'integer'] } }]);
  plan.flows[0]!.reads = [{ schema: 'public', name: 'item' }];
});

afterAll(() => source.drop());

async function epoch(number: number) {
  const keeper = await source.open();
  const opened = await openEpoch(keeper, plan, number);
  const { rows } = await keeper.query('select v from public.item');
  await keeper.query('rollback');
  return { ...opened, v: rows[0].v as number };
}

test('a write that had begun before a snapshot, and was committed after it, makes the flow start again', async () => {
  const [writer, other] = [await source.open(), await source.open()];
  await writer.query('begin; update public.item set v = v + 1');
  await other.query('begin; select pg_current_xact_id()'); // A later transaction, so that the writer's commit moves no next id.
  await other.query('commit');
  const first = await epoch(1);
  await writer.query('commit; select pg_stat_force_next_flush()');
  const second = await epoch(2);
  expect([first.v, second.v]).toEqual([1, 2]);
  expect(findStaleFlows(plan, [{ flow: 'item', epoch: 1 }], [first], second)).toEqual(['item']);
});

test('nothing starts again where nothing was written', async () => {
  const first = await epoch(3);
  const second = await epoch(4);
  expect(findStaleFlows(plan, [{ flow: 'item', epoch: 3 }], [first], second)).toEqual([]);
});

test('time limits that a database sets end no session of ours', async () => {
  await source.exec(`alter database "${source.name}" set transaction_timeout = '50ms'`);
  const keeper = await openSession(source.endpoint, 'test');
  await openEpoch(keeper, plan, 5);
  await keeper.query('select pg_sleep(0.2)');
  await keeper.end();
});

test('a table that was rewritten when nobody kept the snapshot is not read with it', async () => {
  const ledger = await createLedger(source);
  const runId = await createRun(ledger, plan);
  await source.exec('create table kept (id int); insert into kept values (1)');
  const flows = handMadePlan([{ from: 'kept k', to: 'item', columns: { id: ['k.id', 'integer'] } }]).flows;
  flows[0]!.reads = [{ schema: 'public', name: 'kept' }];
  const [keeper, target, reader] = [await source.open(), await source.open(), await source.open()];
  const opened = await openEpoch(keeper, { ...plan, flows }, 1);
  await keeper.query('rollback'); // Its locks are gone; another one exports what it saw.
  await keeper.query('begin isolation level repeatable read; select from public.item');
  const { rows } = await keeper.query('select pg_export_snapshot() as snapshot');
  await insertEpoch(ledger.pool, runId, { ...opened, ...rows[0] });
  await source.exec('vacuum full kept');
  await ledger.pool.query(
    `insert into rowfleet.task (run_id, kind, flow, relation, spec)
     values ($1, 'batch', 'item', 'public.item', '{"leaf": 0, "fromBlock": 0, "toBlock": null}')`,
    [runId],
  );
  const claim = await claimTask(target, 'w', (await readOpenTasks(ledger.pool, runId))[0]!.id);
  const input = {
    ...{
      plan: { ...plan, flows },
      transforms: new Map(),
      claim: claim as ClaimedTask,
      target,
      source: reader,
    },
    ...{ seal: sealFrom({}), signal: new AbortController().signal, onBytes: () => {} },
  };
  await expect(copyBatch(input)).rejects.toThrow('the source snapshot is gone: public.kept was rewritten');
  await ledger.close();
});
