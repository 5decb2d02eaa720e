import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { identityOf } from '../../src/control/edited-rows.ts';
import { discardRefused, sendRefused } from '../../src/control/quarantine.ts';
import { type ClaimedTask, claimTask } from '../../src/ledger/claim.ts';
import { TaskLocked } from '../../src/ledger/fence.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { readQuarantined } from '../../src/ledger/read-quarantine.ts';
import { lockRefused } from '../../src/ledger/reload.ts';
import { type Phase, type RunState, setPhase, setRunState } from '../../src/ledger/runs.ts';
import { sealFrom } from '../../src/ledger/seal.ts';
import { lockSent } from '../../src/ledger/sent-rows.ts';
import type { ResolvedPlan } from '../../src/plan/resolved-plan.ts';
import { until } from '../fleet-processes.ts';
import { createLedger, createRun, emptyPlan } from '../ledger.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

const seal = sealFrom({});
const target = { schema: 'public', name: 'item' };
const plan = {
  ...emptyPlan,
  flows: [{ name: 'item', target, columns: [{ name: 'id' }] }],
} as unknown as ResolvedPlan;

let db: TestDatabase;
let ledger: Ledger;
let runId: string;
let ids: string[];

beforeAll(async () => {
  db = await createDatabase(14);
  ledger = await createLedger(db);
});

afterAll(async () => {
  await ledger.close();
  await db.drop();
});

beforeEach(async () => {
  runId = await createRun(ledger, plan);
  await db.exec(`
    insert into rowfleet.flow (run_id, name, ordinal, target) values (${runId}, 'item', 0, 'public.item');
    insert into rowfleet.task (run_id, kind, flow, relation, spec, state) values (${runId}, 'batch', 'item', 'public.item', '{}', 'done')`);
  const { rows } = await db.query(
    `insert into rowfleet.quarantine (run_id, task_id, attempt, revision, flow, relation, leaf, tid, outputs, stage, code, message, target_rows)
     select t.run_id, t.id, 1, 1, 'item', 'public.item', 0, '(0,' || i || ')', 1, 'load', '22001', 'too long', '[{"id": "1"}]'
       from rowfleet.task t, generate_series(1, 3) i where t.run_id = $1 returning id::text`,
    [runId],
  );
  ids = rows.map(({ id }) => id);
});

const at = async (state: RunState, phase: Phase) => {
  await setPhase(ledger.pool, runId, phase);
  await setRunState(ledger.pool, runId, ['running'], state);
};
const send = (request: object = {}) => sendRefused(ledger, runId, { actor: 'test', ...request }, seal);
const states = async () => (await readQuarantined(ledger.pool, { runId }, seal)).map(({ state }) => state);

it('rows are sent while their run copies or has ended, not while it is held against the source', async () => {
  await at('running', 'verify');
  await expect(send()).rejects.toMatchObject({ code: 'RUN_VERIFYING' });
  await at('running', 'copy');
  expect(await send({ ids: [ids[0]] })).toMatchObject({ rows: 1, left: [] });
  expect(await states()).toEqual(['sent', 'held', 'held']);
  await at('stopped', 'verify');
  expect(await send({ ids: ids.slice(0, 2) })).toEqual({
    ...{ rows: 1, edited: 0, left: [{ id: ids[0], state: 'sent' }] },
  });
  const { rows } = await db.query('select state, phase from rowfleet.run where id = $1', [runId]);
  expect(rows).toEqual([{ state: 'running', phase: 'copy' }]);
  for (const ended of ['cancelled', 'verified'] as const) {
    await at(ended, 'finish');
    await expect(send()).rejects.toMatchObject({ code: 'RUN_STATE' });
    await db.query(`update rowfleet.run set state = 'running' where id = $1`, [runId]);
  }
});

/** A session in a transaction, with the claim of the mend task that is open. */
async function beginMend(): Promise<{ on: Awaited<ReturnType<typeof db.open>>; claim: ClaimedTask }> {
  const on = await db.open();
  const { rows } = await db.query(
    `select id from rowfleet.task where run_id = $1 and kind = 'mend' and state = 'waiting'`,
    [runId],
  );
  const claim = await claimTask(on, 'test', rows[0]!.id);
  await on.query('begin');
  return { on, claim: claim as ClaimedTask };
}

it('people decide about rows while a reload is under way, and none of them is loaded before it has ended', async () => {
  const reloading = await db.open();
  await reloading.query('begin');
  await lockRefused(reloading, runId, 'item');
  await discardRefused(ledger, runId, { ids: [ids[2]!], reason: 'why not', actor: 'test' });
  expect(await send({ edits: [{ id: ids[0]!, targetRows: [{ id: '2' }], at: 'a' }] })).toMatchObject({
    ...{ rows: 2, edited: 1 },
  });
  const { on: mending, claim } = await beginMend();
  await expect(lockSent(mending, claim, seal)).rejects.toThrow(TaskLocked);
  await mending.query('rollback; begin');
  await reloading.query('commit; begin');
  expect(await lockSent(mending, claim, seal)).toHaveLength(2);

  const next = lockRefused(reloading, runId, 'item');
  await until('the next reload waits', async () => {
    const { rowCount } = await db.query('select 1 from pg_locks where not granted');
    return rowCount === 1;
  });
  await mending.query('commit');
  await next;
  await reloading.query('commit');
});

it('a request never waits for a row that is being loaded', async () => {
  await send({ ids: [ids[0]] });
  const { on: mending, claim } = await beginMend();
  await lockSent(mending, claim, seal);
  expect(await send({ ids: ids.slice(0, 2) })).toMatchObject({
    rows: 1,
    left: [{ id: ids[0], state: 'sent' }],
  });
  // Its attempt has not heard of it yet.
  await db.query(`update rowfleet.task set state = 'cancelled' where id = $1`, [claim.taskId]);
  await expect(send({ ids: [ids[0]] })).rejects.toMatchObject({
    code: 'ROWS_BUSY',
    hint: expect.stringContaining('try again'),
  });
  await mending.query('rollback');
  expect(await send({ ids: [ids[0]] })).toMatchObject({ rows: 1 });
});

it('only rows of the run are sent, and none whose flow was cancelled', async () => {
  await expect(send({ ids: ['999999'] })).rejects.toMatchObject({ code: 'ROW_UNKNOWN' });
  await expect(send({ flow: 'items' })).rejects.toMatchObject({
    code: 'FLOW_UNKNOWN',
    hint: 'did you mean item?',
  });
  await db.query('update rowfleet.flow set cancelled = true where run_id = $1', [runId]);
  await expect(send()).rejects.toMatchObject({ code: 'FLOW_CANCELLED' });
  expect(await states()).toEqual(['held', 'held', 'held']);
});

it('what was sent by a task that was cancelled can be sent again; what was given up only by its id', async () => {
  await send();
  await expect(send()).rejects.toMatchObject({ code: 'ROWS_NONE' });
  await db.query(`update rowfleet.task set state = 'cancelled' where run_id = $1 and kind = 'mend'`, [runId]);
  expect(await send()).toMatchObject({ rows: 3 });
  await db.query(`update rowfleet.task set state = 'cancelled' where run_id = $1 and kind = 'mend'`, [runId]);
  await discardRefused(ledger, runId, { ids: [ids[1]!], reason: 'why not', actor: 'test' });
  expect(await send()).toMatchObject({ rows: 2 });
  expect(await send({ ids: [ids[1]] })).toMatchObject({ rows: 1 });
  const [, row] = await readQuarantined(ledger.pool, { runId }, seal);
  expect(row!.history.map(({ by, did }) => `${by}: ${did}`)).toEqual([
    'test: sent again',
    'test: sent again',
    'test: discarded: why not',
    'test: sent again',
  ]);
});

it.each([
  [{ id: '1' }, 'target_rows is no array'],
  [[], 'target_rows is empty'],
  [[5], 'target_rows holds what is no object'],
  [[{ idd: '1' }], 'flow item fills no column idd'],
  [[{}], 'column id has no value'],
  [[{ id: { a: 1 } }], 'the value of id is neither text nor null'],
])('an edit that cannot be meant is refused, and nothing is sent: %j', async (targetRows, message) => {
  const edits = [{ id: ids[0]!, targetRows, at: 'rows.ndjson:1' }];
  await expect(send({ edits })).rejects.toMatchObject({
    ...{ code: 'EDIT_INVALID', message: `rows.ndjson:1: row ${ids[0]}: ${message}` },
  });
  expect(await states()).toEqual(['held', 'held', 'held']);
});

it('an edit that changes nothing is none', async () => {
  const edits = [
    { id: ids[0]!, targetRows: [{ id: 1 }], at: 'a' },
    { id: ids[1]!, targetRows: [{ id: null }], at: 'b' },
  ];
  expect(await send({ edits })).toMatchObject({ rows: 3, edited: 1 });
  const rows = await readQuarantined(ledger.pool, { runId }, seal);
  expect(rows.map(({ values }) => values!.edited)).toEqual([null, [{ id: null }], null]);
});

it('an edit of another row than the one that has its id by now is refused', async () => {
  await db.query(`update rowfleet.quarantine set source_key = '{"id": "3", "part": "1"}' where id = $1`, [
    ids[0],
  ]);
  const [row] = await readQuarantined(ledger.pool, { runId }, seal);
  const of = identityOf(row!);
  const edit = (other: object) => [
    { id: ids[0]!, of: { ...of, ...other }, targetRows: [{ id: '7' }], at: 'rows.ndjson:1' },
  ];
  for (const [other, name] of [
    [{ run: '7' }, 'run'],
    [{ flow: 'items' }, 'flow'],
    [{ source_key: { id: '31', part: '1' } }, 'source_key'],
    [{ refused_at: '2026-01-31T10:00:00.000Z' }, 'refused_at'],
  ] as const)
    await expect(send({ edits: edit(other) })).rejects.toMatchObject({
      code: 'EDIT_INVALID',
      message: expect.stringContaining(`rows.ndjson:1: row ${ids[0]}: its ${name} is not that of row`),
    });
  await expect(send({ edits: edit({ run: undefined }) })).rejects.toThrow('has no run');
  expect(await states()).toEqual(['held', 'held', 'held']);
  // Whoever writes the file anew may order a key's columns otherwise.
  const edits = edit({ source_key: { part: '1', id: '3' } });
  expect(await send({ ids: [ids[0]], edits })).toMatchObject({ edited: 1 });
});
