import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ClaimedTask, claimTask, leaseMs } from '../../src/ledger/claim.ts';
import { failTask, type RecordedFailure } from '../../src/ledger/fail-task.ts';
import { finishTask, handBackTask, lockClaim, StaleAttempt } from '../../src/ledger/fence.ts';
import { insertFlow, restartFlows } from '../../src/ledger/flows.ts';
import { liftHold, putHold } from '../../src/ledger/holds.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { migrateLedger } from '../../src/ledger/ledger.ts';
import { setRunState } from '../../src/ledger/runs.ts';
import { writeRunSettings } from '../../src/ledger/settings.ts';
import { insertTask, readOpenTasks } from '../../src/ledger/tasks.ts';
import { insertWorker, renewLeases } from '../../src/ledger/workers.ts';
import { inTransaction } from '../../src/pg/transaction.ts';
import { until } from '../fleet-processes.ts';
import { createLedger, createRun } from '../ledger.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let db: TestDatabase;
let ledger: Ledger;
let runId: string;
let taskId: string;

beforeAll(async () => {
  db = await createDatabase(18);
  ledger = await createLedger(db);
});

afterAll(async () => {
  await ledger.close();
  await db.drop();
});

beforeEach(async () => {
  runId = await createRun(ledger);
  await insertTask(ledger.pool, runId, 'check', 'public.t', {});
  taskId = (await readOpenTasks(ledger.pool, runId))[0]!.id;
});

async function claim(session: pg.Client, worker = 'w'): Promise<ClaimedTask> {
  const claimed = await claimTask(session, worker, taskId);
  if (claimed.kind !== 'claimed') throw new Error(`not claimed: ${claimed.kind}`);
  return claimed;
}

const gone: RecordedFailure = { class: 'give up', code: '42P01', message: 'gone' };

const finish = (session: pg.Client, claimed: ClaimedTask) =>
  inTransaction(session, 'read committed', async () => {
    await lockClaim(session, claimed);
    await finishTask(session, claimed, { seconds: 1, rowsIn: 5 });
  });

const expireLease = () =>
  ledger.pool.query(
    `update rowfleet.attempt set lease_until = now() - interval '1 second' where task_id = $1`,
    [taskId],
  );

const taskRow = async () =>
  (await ledger.pool.query('select * from rowfleet.task where id = $1', [taskId])).rows[0];
const outcomes = async () =>
  (
    await ledger.pool.query('select outcome from rowfleet.attempt where task_id = $1 order by number', [
      taskId,
    ])
  ).rows.map((row) => row.outcome);

describe('claim', () => {
  it('is committed before the work starts, and finishing commits with it', async () => {
    const session = await db.open();
    const claimed = await claim(session);
    expect(claimed.number).toBe(1);
    expect(await taskRow()).toMatchObject({ state: 'running', attempt: 1 });
    await finish(session, claimed);
    expect(await taskRow()).toMatchObject({ state: 'done', rows_in: '5' });
    expect(await claimTask(session, 'w', taskId)).toEqual({ kind: 'settled' });
    expect(await outcomes()).toEqual(['done']);
  });

  it('keeps a second worker off as long as the lease runs', async () => {
    const [first, second] = [await db.open(), await db.open()];
    await claim(first);
    const other = await claimTask(second, 'v', taskId);
    expect(other.kind).toBe('busy');
    expect((other as { waitMs: number }).waitMs).toBeGreaterThan(leaseMs / 2);
  });

  it('goes to one of many who come at once', async () => {
    const sessions = await Promise.all(Array.from({ length: 6 }, () => db.open()));
    const claims = await Promise.all(sessions.map((session) => claimTask(session, 'w', taskId)));
    expect(claims.filter(({ kind }) => kind === 'claimed')).toHaveLength(1);
    expect(claims.filter(({ kind }) => kind === 'busy')).toHaveLength(5);
  });

  it('ends the backend of a predecessor whose lease has run out, in the middle of its transaction', async () => {
    const [first, second] = [await db.open(), await db.open()];
    const stale = await claim(first);
    await first.query('begin');
    await lockClaim(first, stale);
    await expireLease();
    const fresh = await claim(second, 'v');
    expect(fresh.number).toBe(2);
    await expect(first.query('select 1')).rejects.toThrow();
    await finish(second, fresh);
    expect(await outcomes()).toEqual(['lost', 'done']);
    const told = async () =>
      (await ledger.pool.query(`select message from rowfleet.event where run_id = $1`, [runId])).rows;
    expect(await told()).toEqual([{ message: 'lost w: others take over what it had in hand' }]);

    // Once for a worker, whatever else it had in hand.
    await insertTask(ledger.pool, runId, 'check', 'public.u', {});
    taskId = (await readOpenTasks(ledger.pool, runId))[0]!.id;
    await claim(await db.open());
    await expireLease();
    await claim(second, 'v');
    expect(await told()).toHaveLength(1);
  });

  it('lets a stale attempt lose at the fence', async () => {
    const [first, second] = [await db.open(), await db.open()];
    const stale = await claim(first);
    // As if the predecessor's work sat in another backend than the ledger knows of.
    await ledger.pool.query(`update rowfleet.attempt set backend_pid = 0 where task_id = $1`, [taskId]);
    await expireLease();
    const fresh = await claim(second, 'v');
    await expect(finish(first, stale)).rejects.toBeInstanceOf(StaleAttempt);
    await expect(
      inTransaction(first, 'read committed', () => finishTask(first, stale, { seconds: 1 })),
    ).rejects.toBeInstanceOf(StaleAttempt);
    expect(await failTask(ledger.pool, stale, gone, { waitMs: null, counts: true })).toBe(false);
    await handBackTask(ledger.pool, stale);
    expect(await taskRow()).toMatchObject({ state: 'running', attempt: 2, failures: 0 });
    await finish(second, fresh);
  });

  it('waits out the back-off, and fails for good when no try is left', async () => {
    const session = await db.open();
    await failTask(ledger.pool, await claim(session), gone, { waitMs: 60_000, counts: true });
    expect(await taskRow()).toMatchObject({ state: 'waiting', failures: 1 });
    expect((await claimTask(session, 'w', taskId)).kind).toBe('busy');
    await ledger.pool.query('update rowfleet.task set not_before = null where id = $1', [taskId]);
    await failTask(ledger.pool, await claim(session), gone, { waitMs: null, counts: true });
    expect(await taskRow()).toMatchObject({ state: 'failed', failures: 2, error: { code: '42P01' } });
    expect(await claimTask(session, 'w', taskId)).toEqual({ kind: 'settled' });
  });

  it('does not count a task that was handed back as failed', async () => {
    const session = await db.open();
    await handBackTask(ledger.pool, await claim(session));
    expect(await taskRow()).toMatchObject({ state: 'waiting', failures: 0, attempt: 1 });
    expect((await claim(session)).number).toBe(2);
  });

  it('holds still while the run is stopped', async () => {
    const session = await db.open();
    await setRunState(ledger.pool, runId, ['running'], 'stopped');
    expect(await claimTask(session, 'w', taskId)).toEqual({ kind: 'held' });
  });
});

describe('leases', () => {
  it('are renewed with every sign of life, and given up when the run is stopped', async () => {
    const worker = await insertWorker(ledger.pool, 'loader', 2);
    const session = await db.open();
    const claimed = await claim(session, worker);
    await expireLease();
    const live = [{ taskId, number: claimed.number, bytes: 42, waiting: null }];
    expect(await renewLeases(ledger.pool, worker, live)).toEqual([]);
    expect(await claimTask(await db.open(), 'v', taskId)).toMatchObject({ kind: 'busy' });
    await setRunState(ledger.pool, runId, ['running'], 'stopped');
    expect(await renewLeases(ledger.pool, worker, live)).toEqual([taskId]);
  });

  it('of an attempt that was taken over are given up', async () => {
    const worker = await insertWorker(ledger.pool, 'loader', 2);
    const claimed = await claim(await db.open(), worker);
    await expireLease();
    await claim(await db.open(), 'v');
    expect(
      await renewLeases(ledger.pool, worker, [{ taskId, number: claimed.number, bytes: 0, waiting: null }]),
    ).toEqual([taskId]);
  });
});

it('the ledger is created once, by however many come at once', async () => {
  const fresh = await createDatabase(14);
  const others = await Promise.all(Array.from({ length: 4 }, () => createLedger(fresh)));
  await migrateLedger(others[0]!);
  expect((await fresh.query('select version from rowfleet.migration')).rows).toEqual([
    { version: 1 },
    { version: 2 },
    { version: 3 },
  ]);
  await Promise.all(others.map((other) => other.close()));
  await fresh.drop();
});

it('a successor that is held back behind the end of its predecessor leaves the task to be rung for', async () => {
  const [dead, next] = [await db.open(), await db.open()];
  await claim(dead);
  await expireLease();
  const query = next.query.bind(next) as (...args: unknown[]) => Promise<unknown>;
  next.query = (async (...args: unknown[]) => {
    const answer = await query(...args);
    if (String(args[0]).includes("outcome = 'lost'"))
      await putHold(ledger.pool, { runId, kind: 'breaker', cause: 'source', reason: 'it does not answer' });
    return answer;
  }) as typeof next.query;
  expect((await claimTask(next, 'next', taskId)).kind).toBe('busy');
  await liftHold(ledger.pool, runId, { kind: 'breaker' });
  expect(await readOpenTasks(ledger.pool, runId)).toMatchObject([{ state: 'waiting', held: false }]);
  await dead.end().catch(() => {});
});

it('a task that runs without an attempt is one to be rung for', async () => {
  const session = await db.open();
  await claim(session);
  expect(await readOpenTasks(ledger.pool, runId)).toMatchObject([{ state: 'running', lapsed: false }]);
  await ledger.pool.query(`update rowfleet.attempt set ended_at = now(), outcome = 'lost'`);
  expect(await readOpenTasks(ledger.pool, runId)).toMatchObject([{ state: 'running', lapsed: true }]);
});

it('dead attempts do not count against a concurrency that people set', async () => {
  const [dead, next] = [await db.open(), await db.open()];
  await ledger.pool.query(
    `insert into rowfleet.task (run_id, kind, flow, relation, spec) select $1, 'batch', 'f', 'public.t', '{}' from generate_series(1, 2)`,
    [runId],
  );
  await ledger.pool.query('delete from rowfleet.task where id = $1', [taskId]);
  const [first, second] = (await readOpenTasks(ledger.pool, runId)).map(({ id }) => id) as [string, string];
  await claimTask(dead, 'dead', first);
  await claimTask(dead, 'dead', second);
  await dead.end();
  await ledger.pool.query(`update rowfleet.attempt set lease_until = now() - interval '1 second'`);
  await writeRunSettings(ledger.pool, runId, { concurrency: 1 });
  expect((await claimTask(next, 'next', first)).kind).toBe('claimed');
  expect((await claimTask(next, 'next', second)).kind).toBe('held');
});

it('a batch that is halved while its flow starts again goes with the others', async () => {
  const [worker, failing, starting] = [await db.open(), await db.open(), await db.open()];
  const cut = { blocks: [100], rowsPerBlock: 1, leaf: 1, nextBlock: 0 };
  const figures = { estimatedBytes: 0, estimatedRows: 0, targetRowsBefore: 0 };
  await insertFlow(ledger.pool, runId, 0, { name: 'f', target: 'public.t', cut, cutDone: true, ...figures });
  await ledger.pool.query(
    `update rowfleet.task set kind = 'batch', flow = 'f', spec = '{"leaf": 0, "fromBlock": 0, "toBlock": null}' where id = $1`,
    [taskId],
  );
  const claimed = await claim(worker);
  const half = (fromBlock: number, toBlock: number | null) => ({ leaf: 0, fromBlock, toBlock });
  await failing.query('begin');
  await failTask(
    failing,
    claimed,
    { class: 'shrink', code: 'BATCH_TIMEOUT', message: 'm' },
    { waitMs: 0, counts: false, halves: [half(0, 50), half(50, null)] },
  );
  await starting.query('begin');
  const restarted = restartFlows(starting, runId, ['f']);
  await until('the delete waits for the batch', async () => {
    const { rowCount } = await ledger.pool.query(
      `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rowCount === 1 ? true : undefined;
  });
  await failing.query('commit');
  await restarted;
  await starting.query('commit');
  expect(await readOpenTasks(ledger.pool, runId)).toEqual([]);
});
