import { expect, it, onTestFailed, onTestFinished } from 'vitest';
import { sendRefused } from '../../src/control/quarantine.ts';
import { sealFrom } from '../../src/ledger/seal.ts';
import { createBarriers, ended, startTestRun, TestFleet } from '../fleet-processes.ts';
import { createLedger } from '../ledger.ts';
import { createDatabase } from '../postgres.ts';

const plan = `
name: mend
source: \${SOURCE_DATABASE_URL}
target: \${TARGET_DATABASE_URL}
tables: [item]
`;

it('a loader killed while it sends refused rows again has sent all of them or none, and another does', async () => {
  const [source, target] = [await createDatabase(18), await createDatabase(15)];
  const ledger = await createLedger(target);
  const fleet = new TestFleet({ source, target });
  onTestFailed(() => console.log(fleet.logs()));
  onTestFinished(async () => {
    await fleet.killAll();
    await ledger.close();
    await source.drop();
    await target.drop();
  });
  await source.exec(`create table item (id int primary key, n int);
    insert into item select i, case when i % 50 = 0 then -i else i end from generate_series(1, 500) i`);
  await target.exec('create table item (id int primary key, n int constraint up check (n > 0))');
  const barriers = await createBarriers();
  for (const kind of ['scheduler', 'validator', 'loader'] as const) fleet.start(kind, { barriers });
  const runId = await startTestRun(ledger, { source, target }, plan);
  await ended(ledger, runId, 'quarantined');

  await target.exec('alter table item drop constraint up');
  barriers.hold('copy.commit');
  expect(await sendRefused(ledger, runId, { actor: 'test' }, sealFrom({}))).toMatchObject({ rows: 10 });
  const pid = await barriers.reached('copy.commit');
  const victim = fleet.processes.find(({ child }) => child.pid === pid)!;
  victim.kill('SIGKILL');
  await victim.exited;
  const { rows: sent } = await target.query('select distinct state from rowfleet.quarantine');
  expect(sent).toEqual([{ state: 'sent' }]);
  barriers.release('copy.commit');
  fleet.start('loader', { barriers });
  await ended(ledger, runId);
  const all = 'select id, n from item order by id';
  expect((await target.query(all)).rows).toEqual((await source.query(all)).rows);
  const { rows: attempts } = await target.query(
    `select a.outcome from rowfleet.attempt a join rowfleet.task t on t.id = a.task_id where t.kind = 'mend' order by number`,
  );
  expect(attempts).toEqual([{ outcome: 'lost' }, { outcome: 'done' }]);
});
