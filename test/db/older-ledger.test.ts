import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withLedger, withTarget } from '../../src/control/open.ts';
import { chooseRun, resumeRun } from '../../src/control/resume.ts';
import { refuseSecondRun } from '../../src/control/start.ts';
import { cancelRun } from '../../src/control/stop.ts';
import { uninstall } from '../../src/control/uninstall.ts';
import { readRun } from '../../src/ledger/runs.ts';
import { runLoader } from '../../workers/loader.ts';
import { runScheduler } from '../../workers/scheduler.ts';
import { until } from '../fleet-processes.ts';
import { emptyPlan } from '../ledger.ts';

import { createDatabase, type TestDatabase } from '../postgres.ts';

process.env.LOG_LEVEL ??= 'silent';

let target: TestDatabase;
const first = readFileSync(new URL('../../src/ledger/migrations/001-ledger.sql', import.meta.url), 'utf8');

/** A target whose ledger the first version of rowfleet made, with a run that it left. */
beforeEach(async () => {
  target = await createDatabase(18);
  await target.exec(`
    create schema rowfleet;
    create table rowfleet.migration (version int primary key, applied_at timestamptz not null default now());
    ${first};
    insert into rowfleet.migration (version) values (1)`);
  await target.query(
    `insert into rowfleet.run (name, kind, plan, plan_hash, plan_file, state, phase)
     values ('test', 'migrate', $1, 'hash', 'plan.yaml', 'stopped', 'copy')`,
    [JSON.stringify(emptyPlan)],
  );
});

afterEach(() => target.drop());

test('a run of an older rowfleet is resumed and cancelled by this one', () =>
  withLedger(target.endpoint, async (ledger) => {
    const run = await chooseRun(ledger, 'test');
    await resumeRun(ledger, run, 'test');
    expect(await readRun(ledger.pool, run.id)).toMatchObject({ state: 'running', phase: 'copy' });
    await cancelRun(ledger, await readRun(ledger.pool, run.id), 'test');
    expect((await readRun(ledger.pool, run.id)).state).toBe('cancelling');
  }));

test('a run of an older rowfleet stands in the way of another, and of uninstalling', () =>
  withTarget(target.endpoint, async (ledger) => {
    const stands = { code: 'RUN_UNFINISHED' };
    await expect(refuseSecondRun(ledger, 'test', 'plan.yaml')).rejects.toMatchObject(stands);
    await expect(uninstall(ledger, async () => {})).rejects.toMatchObject(stands);
  }));

test.each([
  ['loader', runLoader, 'drop schema rowfleet cascade', /SQLSTATE (3F000|42P01)/],
  [
    'scheduler',
    runScheduler,
    'alter table rowfleet.worker drop column seen_at',
    /column "seen_at" .*SQLSTATE 42703/,
  ],
])('a %s whose ledger is gone or changed says so and ends', async (_, run, change, message) => {
  const ended = run({ targetUrl: target.url, signal: new AbortController().signal });
  ended.catch(() => {});
  await until('it has joined', async () => {
    const { rows } = await target.query(`select to_regclass('rowfleet.leader') is not null as there`);
    return rows[0]?.there && (await target.query('select 1 from rowfleet.worker')).rowCount === 1;
  });
  await target.query(change);
  await expect(ended).rejects.toMatchObject({
    code: 'LEDGER_CHANGED',
    message: expect.stringMatching(message),
  });
});
