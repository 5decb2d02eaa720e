import { afterEach, expect, it, onTestFinished } from 'vitest';
import { readErrorPatterns } from '../../src/ledger/error-patterns.ts';
import { describeWith } from '../describe-with.ts';
import { createBarriers, until } from '../fleet-processes.ts';
import { onServer } from '../postgres.ts';
import { mountSmallDisk } from '../tmpfs.ts';
import { attemptsOf, createScenario, type Scenario } from './scenario.ts';

let scenario: Scenario;

afterEach(() => scenario.close());

const patterns = (runId: string) => readErrorPatterns(scenario.ledger.pool, runId);

it('a target that ends every session, takes no other, and has its tables locked, is waited for', async () => {
  scenario = await createScenario();
  const { fleet, ledger, site } = scenario;
  const barriers = await createBarriers();
  barriers.hold('copy.load');
  const scheduler = fleet.start('scheduler');
  fleet.start('validator');
  const loader = fleet.start('loader', { barriers });
  const runId = await scenario.start();
  await barriers.reached('copy.load');
  const full = (limit: number) =>
    onServer(18, `alter database ${site.target.name} connection limit ${limit}`);
  await full(0);
  await onServer(
    18,
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${site.target.name}' and usename = 'app'`,
  );
  barriers.release('copy.load');
  for (const { log } of [scheduler, loader])
    await until('who asks hears that there is no connection left', () =>
      log().includes('the server has no connection left'),
    );
  await full(-1);
  const application = await site.target.open();
  await application.query(
    'begin; lock table public.author, public.book, public.note in access exclusive mode',
  );
  await until('a session waits for the lock', async () => {
    const { rowCount } = await ledger.pool.query('select 1 from pg_locks where not granted');
    return rowCount! > 0;
  });
  await application.query('rollback');
  await scenario.expectWhole(runId);
  expect((await attemptsOf(ledger, runId)).doneTwice).toBe(0);
});

describeWith('mount', 'a full disk', () => {
  it('of the target is waited for until there is space', async () => {
    const disk = mountSmallDisk(1);
    scenario = await createScenario();
    const { fleet, site } = scenario;
    await onServer(18, `create tablespace small location '${disk.folder}'`);
    onTestFinished(async () => {
      await onServer(18, 'drop tablespace small');
      disk.remove();
    });
    await site.target.execAsSuperuser(`alter table book set tablespace small`);
    for (const kind of ['scheduler', 'validator', 'loader'] as const) fleet.start(kind);
    const runId = await scenario.start();
    const full = await until('the disk is full', async () =>
      (await patterns(runId)).find(({ code }) => code === '53100'),
    );
    expect(full).toMatchObject({ class: 'wait', side: 'target' });
    disk.grow(64);
    await scenario.expectWhole(runId);
  });
});
