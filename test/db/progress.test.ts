import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ledger, migrateLedger, openLedger } from '../../src/ledger/ledger.ts';
import { readRunFindings, readRuns } from '../../src/progress/runs.ts';
import { readProgress } from '../../src/progress/snapshot.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let target: TestDatabase;
let ledger: Ledger;

beforeAll(async () => {
  target = await createDatabase(18);
  ledger = openLedger(target.endpoint);
  await migrateLedger(ledger);
});

afterAll(async () => {
  await ledger.close();
  await target.drop();
});

async function aRun(name: string, phase = 'copy', kind = 'migrate'): Promise<string> {
  const { rows } = await target.query(
    `insert into rowfleet.run (name, kind, plan, plan_hash, plan_file, phase, created_at)
     values ($1, $2, '{}', 'hash', '/plans/plan.yaml', $3, clock_timestamp() - interval '60 s') returning id`,
    [name, kind, phase],
  );
  return rows[0]!.id;
}

const aFlow = (run: string, name: string, cut: object, rest: { rows?: number; done?: boolean } = {}) =>
  target.query(
    `insert into rowfleet.flow (run_id, name, ordinal, target, estimated_rows, cut, cut_done)
     values ($1, $2, 0, 'public.t', $3, $4, $5)`,
    [run, name, rest.rows ?? 0, JSON.stringify(cut), rest.done ?? false],
  );

/** A batch of blocks that ended `ago` seconds ago, or has not. */
async function aBatch(
  run: string,
  flow: string,
  batch: {
    from: number;
    to: number | null;
    state: string;
    rows?: number;
    bytes?: number;
    seconds?: number;
    ago?: number;
  },
): Promise<string> {
  const { rows } = await target.query(
    `insert into rowfleet.task (run_id, kind, flow, relation, spec, state, attempt, rows_out, rows_in, bytes, seconds, ended_at)
     values ($1, 'batch', $2, 'public.t', $3, $4, 1, $5, $5, $6, $7, clock_timestamp() - make_interval(secs => $8))
     returning id`,
    [
      run,
      flow,
      JSON.stringify({ leaf: 0, fromBlock: batch.from, toBlock: batch.to }),
      batch.state,
      batch.rows ?? null,
      batch.bytes ?? null,
      batch.seconds ?? null,
      batch.ago ?? null,
    ],
  );
  return rows[0]!.id;
}

describe('the progress of a run', () => {
  it('is counted from blocks, not from the catalog’s estimate, and rates are over the last seconds', async () => {
    const run = await aRun('rates');
    await aFlow(run, 'a', { blocks: [1000], leaf: 0, nextBlock: 300 }, { rows: 999_999 });
    // Ended long ago: in the total, not in the rate.
    await aBatch(run, 'a', {
      from: 0,
      to: 100,
      state: 'done',
      rows: 10_000,
      bytes: 100_000,
      seconds: 5,
      ago: 30,
    });
    // Half of its time lies within the last ten seconds: half of its rows count.
    await aBatch(run, 'a', {
      from: 100,
      to: 200,
      state: 'done',
      rows: 10_000,
      bytes: 100_000,
      seconds: 10,
      ago: 5,
    });
    const running = await aBatch(run, 'a', { from: 200, to: 300, state: 'running' });
    await target.query(
      `insert into rowfleet.attempt (task_id, number, run_id, worker, backend_pid, backend_start, lease_until, started_at, bytes)
       values ($1, 1, $2, 'loader-1', 1, now(), now() + interval '5 s', clock_timestamp() - interval '5 s', 50000)`,
      [running, run],
    );
    const { flows, overall, attempts } = await readProgress(ledger, run);
    expect(flows).toHaveLength(1);
    expect(flows[0]).toMatchObject({
      state: 'copying',
      rows: 20_000,
      rowsInFlight: 5_000,
      estimatedRows: 100_000,
      bytes: 200_000,
      bytesInFlight: 50_000,
      batches: { waiting: 0, running: 1, done: 2, failed: 0 },
    });
    expect(flows[0]!.fraction).toBeCloseTo(0.25, 5);
    expect(flows[0]!.rowsPerSecond).toBeGreaterThan(900);
    expect(flows[0]!.rowsPerSecond).toBeLessThan(1_010);
    expect(flows[0]!.bytesPerSecond).toBeCloseTo(flows[0]!.rowsPerSecond * 10, 3);
    // 75,000 rows left at 1,000 a second, and 55 % of the whole copy for builds and checks behind it.
    const copy = overall.copySeconds + 75_000 / overall.rowsPerSecond;
    expect(overall.eta).toEqual({ seconds: expect.closeTo(75_000 / overall.rowsPerSecond + 0.55 * copy, 3) });
    expect(attempts).toMatchObject([
      { taskId: running, label: 'batch of a', worker: 'loader-1', leaseLost: false, host: null },
    ]);
  });

  it('counts a short batch once, and divides by the seconds since copying began', async () => {
    const run = await aRun('young');
    await aFlow(run, 'a', { blocks: [10], leaf: 0, nextBlock: 5 });
    await aBatch(run, 'a', { from: 0, to: 5, state: 'done', rows: 10_000, bytes: 100, seconds: 1, ago: 1 });
    const { flows, overall } = await readProgress(ledger, run);
    expect(flows[0]!.rowsPerSecond).toBeGreaterThan(4_000);
    expect(flows[0]!.rowsPerSecond).toBeLessThanOrEqual(5_000);
    expect(overall.rowsPerSecond).toBeCloseTo(flows[0]!.rowsPerSecond, 6);
  });

  it('gives a reason instead of an ETA while nothing is copied', async () => {
    const run = await aRun('no rate yet');
    await aFlow(run, 'a', { blocks: [10], leaf: 0, nextBlock: 0 }, { rows: 500 });
    const before = await readProgress(ledger, run);
    expect(before.overall.eta).toEqual({
      reason: 'for a scheduler to join: none is running (`rowfleet scheduler` starts one)',
    });
    expect(before.flows[0]).toMatchObject({
      state: 'waiting',
      fraction: 0,
      estimatedRows: 500,
      rowsPerSecond: 0,
    });
    const join = (kind: string) =>
      target.query(`insert into rowfleet.worker (id, kind, host, pid) values ($1, $1, 'h', 1)`, [kind]);
    await join('scheduler');
    expect((await readProgress(ledger, run)).waiting).toBe(
      'for a loader to join: none is running (`rowfleet loader` starts one)',
    );
    // What the scheduler wrote down before one joined.
    await target.query(
      `update rowfleet.run set waiting = 'for a loader to join: none is running (\`rowfleet loader\` starts one)' where id = $1`,
      [run],
    );
    await join('loader');
    const ready = await readProgress(ledger, run);
    expect([ready.waiting, ready.overall.eta]).toEqual([null, { reason: 'no batch has finished yet' }]);
    await target.query(`update rowfleet.run set waiting = 'for a lock' where id = $1`, [run]);
    const waiting = await readProgress(ledger, run);
    expect([waiting.waiting, waiting.overall.eta]).toEqual(['for a lock', { reason: 'for a lock' }]);
    await target.exec('delete from rowfleet.worker');
  });

  it('calls a flow done only when everything is cut and committed', async () => {
    const run = await aRun('done or not');
    await aFlow(run, 'copied', { blocks: [10], leaf: 1, nextBlock: 0 }, { done: true });
    await aFlow(run, 'empty', { blocks: [0], leaf: 1, nextBlock: 0 }, { done: true });
    await aFlow(run, 'open', { blocks: [10], leaf: 1, nextBlock: 0 }, { done: true });
    await aBatch(run, 'copied', {
      from: 0,
      to: null,
      state: 'done',
      rows: 70,
      bytes: 700,
      seconds: 2,
      ago: 20,
    });
    await aBatch(run, 'open', { from: 0, to: 5, state: 'done', rows: 70, bytes: 700, seconds: 2, ago: 20 });
    await aBatch(run, 'open', { from: 5, to: null, state: 'waiting' });
    const { flows, overall } = await readProgress(ledger, run);
    const byName = Object.fromEntries(flows.map((flow) => [flow.name, flow]));
    expect(byName.copied).toMatchObject({
      state: 'done',
      fraction: 1,
      rows: 70,
      estimatedRows: 70,
      rowsPerSecond: 35,
    });
    expect(byName.empty).toMatchObject({ state: 'done', fraction: 1, rows: 0 });
    expect(byName.open).toMatchObject({ state: 'copying', fraction: 0.5, estimatedRows: 140 });
    expect(overall.fraction).toBeLessThan(1);
  });

  it('takes the rate of what is done over the seconds of copying, not over the pauses between them', async () => {
    const run = await aRun('paused');
    await aFlow(run, 'a', { blocks: [10], leaf: 1, nextBlock: 0 }, { done: true });
    for (const ago of [1_000, 20, 19]) {
      await aBatch(run, 'a', { from: 0, to: 5, state: 'done', rows: 50, bytes: 500, seconds: 2, ago });
    }
    const { flows, overall } = await readProgress(ledger, run);
    // Two seconds long ago, and two batches that overlap by one of their two seconds: five seconds in all.
    expect(overall.copySeconds).toBeCloseTo(5, 1);
    expect(overall.rowsPerSecond).toBeCloseTo(30, 0);
    expect(flows[0]!.rowsPerSecond).toBeCloseTo(30, 0);
  });

  it('judges the rest of the builds and checks by those that are done', async () => {
    const run = await aRun('checks', 'verify', 'validate');
    for (const [state, seconds] of [
      ['done', 4],
      ['done', 2],
      ['running', null],
      ['running', null],
      ['waiting', null],
      ['waiting', null],
    ]) {
      await target.query(
        `insert into rowfleet.task (run_id, kind, relation, spec, state, seconds, evidence)
         values ($1, 'check', 'public.t', '{"check": "orphans", "name": "t_fkey"}', $2, $3, '{"rows": 5}')`,
        [run, state, seconds],
      );
    }
    const { checks, overall } = await readProgress(ledger, run);
    expect(overall.eta).toEqual({ seconds: 6 }); // Four open ones of 3 s each, two at once.
    expect(overall.fraction).toBeCloseTo(0.33, 2);
    expect(checks[0]).toMatchObject({ label: 'orphans of t_fkey', state: 'done', evidence: { rows: 5 } });
    // One that runs for longer than the others did tells nothing of when it ends.
    await target.query(
      `insert into rowfleet.attempt (task_id, number, run_id, worker, backend_pid, backend_start, lease_until, started_at)
       select id, 1, run_id, 'v', 1, now(), now(), clock_timestamp() - interval '90 seconds'
         from rowfleet.task where run_id = $1 and state = 'running' limit 1`,
      [run],
    );
    expect((await readProgress(ledger, run)).overall.eta).toEqual({
      reason: 'orphans of t_fkey on public.t has run for 90 s, longer than those before it',
    });
  });

  it('names builds by their object, troubles by their next try, and knows who is alive', async () => {
    const run = await aRun('names', 'index');
    const { rows } = await target.query(
      `insert into rowfleet.object (run_id, kind, relation, name, phase, ordinal, captured)
       values ($1, 'primary key', 'public.t', 't_pkey', 'index', 1, '{}') returning id`,
      [run],
    );
    await target.query(
      `insert into rowfleet.task (run_id, kind, relation, spec) values ($1, 'build', 'public.t', $2)`,
      [run, JSON.stringify({ object: rows[0]!.id })],
    );
    await aFlow(run, 'a', { blocks: [10], leaf: 0, nextBlock: 5 });
    const failed = await aBatch(run, 'a', { from: 0, to: 5, state: 'waiting' });
    await target.query(
      `update rowfleet.task set failures = 2, not_before = clock_timestamp() + interval '1 h', error = '{"code": "X", "message": "m"}'
       where id = $1`,
      [failed],
    );
    await target.exec(`
      insert into rowfleet.worker (id, kind, host, pid, concurrency) values ('l1', 'loader', 'h1', 7, 4);
      insert into rowfleet.worker (id, kind, host, pid, seen_at) values ('l2', 'loader', 'h2', 8, now() - interval '1 min');
      insert into rowfleet.worker (id, kind, host, pid, stopped_at) values ('s1', 'scheduler', 'h1', 9, now());`);
    const { builds, troubled, workers } = await readProgress(ledger, run);
    expect(builds).toMatchObject([{ label: 'primary key t_pkey', relation: 'public.t', state: 'waiting' }]);
    expect(troubled).toMatchObject([
      { id: failed, failures: 2, notBefore: expect.any(Date), error: { code: 'X' } },
    ]);
    expect(workers).toMatchObject([{ id: 'l1', host: 'h1', pid: 7, concurrency: 4 }]);
  });

  it('counts the findings and lists the runs, the newest first', async () => {
    const run = await aRun('found');
    await target.query(
      `insert into rowfleet.finding (run_id, check_name, relation, summary, details)
       values ($1, 'digest', 'public.t', '1 row differs', $2)`,
      [
        run,
        JSON.stringify([{ key: { id: '1' }, column: 'c', problem: 'different', expected: null, found: '' }]),
      ],
    );
    expect((await readProgress(ledger, run)).run).toMatchObject({
      id: run,
      name: 'found',
      findings: 1,
      state: 'running',
    });
    const runs = await readRuns(ledger, 2);
    const findings = await readRunFindings(ledger, run);
    expect(runs.map((one) => one.name)).toEqual(['found', 'names']);
    expect(findings).toMatchObject([{ check: 'digest', details: [{ key: { id: '1' }, found: '' }] }]);
  });

  it('does not know a run that is not there', async () => {
    await expect(readProgress(ledger, '987654')).rejects.toMatchObject({
      code: 'RUN_UNKNOWN',
      kind: 'usage',
    });
  });
});
