import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { claimTask } from '../../src/ledger/claim.ts';
import { handBackTask } from '../../src/ledger/fence.ts';
import { cancelFlow, insertFlow, takeUpFlow } from '../../src/ledger/flows.ts';
import { liftHold, liftPauses, putHold, readHolds } from '../../src/ledger/holds.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { writeRunSettings } from '../../src/ledger/settings.ts';
import { readOpenTasks } from '../../src/ledger/tasks.ts';
import { insertWorker, renewLeases } from '../../src/ledger/workers.ts';
import { withSession } from '../../src/pg/session.ts';
import { createLedger, createRun } from '../ledger.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let db: TestDatabase;
let ledger: Ledger;
let runId: string;
let taskIds: string[];

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
  const cut = { blocks: [9], rowsPerBlock: 1, leaf: 0, nextBlock: 0 };
  for (const name of ['book', 'author']) {
    const flow = { name, target: `public.${name}`, cut, cutDone: true };
    const sizes = { estimatedRows: 9, estimatedBytes: 9, targetRowsBefore: 0 };
    await insertFlow(ledger.pool, runId, 0, { ...flow, ...sizes });
  }
  await ledger.pool.query(
    `insert into rowfleet.task (run_id, kind, flow, relation, spec)
     select $1, 'batch', f, 'public.' || f, '{}' from unnest(array['book', 'author', 'author', 'author', 'author']) f`,
    [runId],
  );
  taskIds = (await readOpenTasks(ledger.pool, runId)).map(({ id }) => id);
});

const claim = (taskId: string, worker = 'w') =>
  withSession(ledger.pool, (session) => claimTask(session, worker, taskId));

const kinds = async () => (await Promise.all(taskIds.map((id) => claim(id)))).map(({ kind }) => kind);

const stateOf = async (taskId: string) =>
  (await ledger.pool.query('select state from rowfleet.task where id = $1', [taskId])).rows[0].state;

it('nothing of a run that is held is claimed, and of a flow that is held, none of its batches', async () => {
  await putHold(ledger.pool, { runId, flow: 'book', kind: 'pause', cause: 'ops', reason: 'paused by ops' });
  expect(await kinds()).toEqual(['held', ...Array(4).fill('claimed')]);
  await liftHold(ledger.pool, runId, { flow: 'book', kind: 'pause' });
  await putHold(ledger.pool, { runId, kind: 'throttle', cause: 'vacuum', reason: 'a vacuum runs' });
  await putHold(ledger.pool, { runId, kind: 'pause', cause: 'ops', reason: 'paused by ops' });
  expect(await claim(taskIds[0]!)).toEqual({ kind: 'held' });
  expect(await liftPauses(ledger.pool, runId)).toBe(1);
  expect(await readHolds(ledger.pool, runId)).toMatchObject([{ flow: null, cause: 'vacuum' }]);
  expect(await claim(taskIds[0]!)).toEqual({ kind: 'held' });
  await liftHold(ledger.pool, runId, { kind: 'throttle', cause: 'vacuum' });
  expect(await claim(taskIds[0]!)).toMatchObject({ kind: 'claimed' });
});

it('a hold that is put again keeps since when it is there', async () => {
  const hold = { runId, kind: 'throttle', cause: 'lag' } as const;
  await putHold(ledger.pool, { ...hold, reason: 'lag is 61 s' });
  const [first] = await readHolds(ledger.pool, runId);
  await putHold(ledger.pool, { ...hold, reason: 'lag is 83 s' });
  expect(await readHolds(ledger.pool, runId)).toEqual([{ ...first, reason: 'lag is 83 s' }]);
});

it('however many claim at once, no more are under way than people allow', async () => {
  await writeRunSettings(ledger.pool, runId, { concurrency: 2 });
  expect((await kinds()).sort()).toEqual(['claimed', 'claimed', 'held', 'held', 'held']);
  await writeRunSettings(ledger.pool, runId, {});
  expect((await kinds()).sort()).toEqual(['busy', 'busy', 'claimed', 'claimed', 'claimed']);
});

it('an attempt at a batch of a cancelled flow is given up, and its batch ends as cancelled', async () => {
  const worker = await insertWorker(ledger.pool, 'loader', 2);
  const [book = '', author = ''] = taskIds;
  const claims = [await claim(book, worker), await claim(author, worker)];
  await cancelFlow(ledger.pool, runId, 'book');
  const live = [book, author].map((taskId) => ({ taskId, number: 1, bytes: 0, waiting: null }));
  expect(await renewLeases(ledger.pool, worker, live)).toEqual([book]);
  for (const claimed of claims) if (claimed.kind === 'claimed') await handBackTask(ledger.pool, claimed);
  expect([await stateOf(book), await stateOf(author)]).toEqual(['cancelled', 'waiting']);
  expect(await takeUpFlow(ledger.pool, runId, 'book')).toBe(true);
  expect(await claim(book)).toMatchObject({ kind: 'claimed', number: 2 });
});

it('a batch of a cancelled flow whose loader died ends as cancelled with the next claim', async () => {
  const [book = ''] = taskIds;
  await claim(book);
  await cancelFlow(ledger.pool, runId, 'book');
  await ledger.pool.query(
    `update rowfleet.attempt set lease_until = now() - interval '1 second', backend_pid = 1 where task_id = $1`,
    [book],
  );
  expect(await claim(book)).toEqual({ kind: 'settled' });
  expect(await stateOf(book)).toBe('cancelled');
});
