import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ClaimedTask, claimTask } from '../../src/ledger/claim.ts';
import { readErrorPatterns } from '../../src/ledger/error-patterns.ts';
import { endBackend, failTask, type RecordedFailure, readTaskHistory } from '../../src/ledger/fail-task.ts';
import { finishTask, lockClaim } from '../../src/ledger/fence.ts';
import { insertFlow } from '../../src/ledger/flows.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { insertBatch, readOpenTasks, readTooManyBlocks } from '../../src/ledger/tasks.ts';
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

const cut = { blocks: [100], rowsPerBlock: 10, leaf: 0, nextBlock: 100 };
const flow = { name: 'f', target: 'public.t' };
const slow: RecordedFailure = { class: 'shrink', code: 'BATCH_TIMEOUT', message: 'slow', tooManyBlocks: 60 };
const away: RecordedFailure = { class: 'wait', code: '57P01', message: 'away', side: 'source' };
const twice: RecordedFailure = { class: 'row', code: '23505', message: 'twice', constraint: 't_pkey' };

beforeEach(async () => {
  runId = await createRun(ledger);
  const sizes = { estimatedBytes: 0, estimatedRows: 0, targetRowsBefore: 0 };
  await insertFlow(ledger.pool, runId, 0, { ...flow, ...sizes, cut, cutDone: true });
  await insertBatch(ledger.pool, runId, flow, { leaf: 0, fromBlock: 40, toBlock: null }, cut, true);
  taskId = (await readOpenTasks(ledger.pool, runId))[0]!.id;
});

async function claim(session: pg.Client): Promise<ClaimedTask> {
  await ledger.pool.query('update rowfleet.task set not_before = null where id = $1', [taskId]);
  const claimed = await claimTask(session, 'w', taskId);
  if (claimed.kind !== 'claimed') throw new Error(`not claimed: ${claimed.kind}`);
  return claimed;
}

const tasks = async () =>
  (
    await ledger.pool.query(
      'select state, failures, mode, spec from rowfleet.task where run_id = $1 order by id',
      [runId],
    )
  ).rows;

describe('a failed attempt', () => {
  it('leaves two halves of a batch that was too much, and smaller batches behind it', async () => {
    const claimed = await claim(await db.open());
    expect(await readTaskHistory(ledger.pool, claimed)).toEqual({ waits: 0, handedBack: 0, leafBlocks: 100 });
    expect(await readTooManyBlocks(ledger.pool, runId, 'f')).toBeNull();
    const halves = [
      { leaf: 0, fromBlock: 40, toBlock: 70 },
      { leaf: 0, fromBlock: 70, toBlock: null },
    ] as const;
    await failTask(ledger.pool, claimed, slow, { waitMs: 0, counts: false, halves: [...halves] });
    expect(await tasks()).toEqual(
      halves.map((spec) => ({ state: 'waiting', failures: 0, mode: 'copy', spec })),
    );
    expect(await readTooManyBlocks(ledger.pool, runId, 'f')).toBe(60);
  });

  it('is counted by its pattern, whatever its task', async () => {
    const session = await db.open();
    await failTask(ledger.pool, await claim(session), away, { waitMs: 0, counts: false });
    const again = await claim(session);
    expect(await readTaskHistory(ledger.pool, again)).toMatchObject({ waits: 1 });
    await failTask(ledger.pool, again, { ...away, message: 'still away' }, { waitMs: 0, counts: false });
    await failTask(ledger.pool, await claim(session), twice, { waitMs: 0, counts: false, mode: 'corner' });
    expect(await tasks()).toMatchObject([{ failures: 0, mode: 'corner' }]);
    expect(await readErrorPatterns(session, runId)).toMatchObject([
      { class: 'wait', code: '57P01', side: 'source', relation: 'public.t', count: 2, message: 'still away' },
      { class: 'row', code: '23505', side: null, constraint: 't_pkey', count: 1 },
    ]);
  });

  it('changes nothing when its commit went through and only the answer was lost', async () => {
    const session = await db.open();
    const claimed = await claim(session);
    await inTransaction(session, 'read committed', async () => {
      await lockClaim(session, claimed);
      await finishTask(session, claimed, { seconds: 1, rowsIn: 5 });
    });
    expect(await failTask(ledger.pool, claimed, away, { waitMs: 0, counts: true })).toBe(false);
    expect(await tasks()).toMatchObject([{ state: 'done', failures: 0 }]);
    expect(await readErrorPatterns(session, runId)).toEqual([]);
  });

  it('ends its backend, which may not know yet that it was cut off', async () => {
    const session = await db.open();
    const claimed = await claim(session);
    await session.query('begin');
    await lockClaim(session, claimed);
    await endBackend(ledger.pool, claimed);
    expect(await failTask(ledger.pool, claimed, away, { waitMs: 0, counts: false })).toBe(true);
    await until('the session is gone', () =>
      session.query('select 1').then(
        () => false,
        () => true,
      ),
    );
  });
});
