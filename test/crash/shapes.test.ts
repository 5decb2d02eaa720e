import { afterEach, expect, it, onTestFailed } from 'vitest';
import type { BarrierName } from '../../src/barrier.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import {
  type Barriers,
  createBarriers,
  ended,
  type FleetSite,
  startTestRun,
  TestFleet,
} from '../fleet-processes.ts';
import { createLedger } from '../ledger.ts';
import { createDatabase } from '../postgres.ts';
import { attemptsOf } from './scenario.ts';

let site: FleetSite;
let ledger: Ledger;
let fleet: TestFleet;

afterEach(async () => {
  await fleet.killAll();
  await ledger.close();
  await site.source.drop();
  await site.target.drop();
});

const plan = `
name: shapes
source: \${SOURCE_DATABASE_URL}
target: \${TARGET_DATABASE_URL}
migration: {batch_size: 2000, max_retries: 3}
id_maps:
  person: {from: people p, key: p.id, new: sequence}
flows:
  - name: people
    from: people p
    outputs:
      - {to: person, columns: {id: {id_map: person, key: p.id}, name: p.name}}
      - {to: contact, columns: {email: p.email, name: p.name}, on_conflict: update, order: p.id}`;

const counted = `
name: counted
source: \${TARGET_DATABASE_URL}
target: \${TARGET_DATABASE_URL}
migration: {batch_size: 2000, max_retries: 3}
flows:
  - {name: item, from: item i, where: not i.done, to: item, columns: {n: i.n + 1, done: "true"}}`;

// A loader between the COPYs of a batch, before its record, behind its commit, and while candidates become rows.
const places: BarrierName[] = ['copy.load', 'copy.record', 'copy.commit', 'index.build', 'index.commit'];

/** Kills the loader that comes first to each of the places, whose first one is held, and starts another one. */
async function killAt(barriers: Barriers, at: BarrierName[]): Promise<void> {
  for (const [i, name] of at.entries()) {
    const pid = await barriers.reached(name);
    if (at[i + 1] !== undefined) barriers.hold(at[i + 1]!);
    const victim = fleet.processes.find(({ child }) => child.pid === pid)!;
    victim.kill('SIGKILL');
    await victim.exited;
    barriers.release(name);
    fleet.start(victim.kind, { barriers });
  }
}

it('a loader killed in the middle of outputs, lookups and fusion loses nothing and doubles nothing', async () => {
  const [source, target] = [await createDatabase(15), await createDatabase(18)];
  site = { source, target };
  await source.exec(`
    create table people (id int primary key, name text, email text);
    insert into people select i, 'n' || i, 'e' || i % 5000 from generate_series(1, 12000) i; analyze`);
  await target.exec(`
    create table person (id bigint primary key, name text);
    create table contact (email text primary key, name text)`);
  ledger = await createLedger(target);
  fleet = new TestFleet(site);
  onTestFailed(() => console.log(fleet.logs()));
  const barriers = await createBarriers();
  barriers.hold(places[0]!);
  for (const kind of ['scheduler', 'validator', 'loader'] as const) fleet.start(kind, { barriers });
  const runId = await startTestRun(ledger, site, plan);
  await killAt(barriers, places);
  await ended(ledger, runId);
  const { rows } = await target.query(
    `select (select count(*)::int from person p join rowfleet.id_map_person m on m.new_id = p.id where p.name = 'n' || m.old_1) as people,
            (select count(*)::int from contact where substr(name, 2)::int > 7000 and substr(name, 2)::int % 5000 = substr(email, 2)::int) as contacts,
            (select count(*)::int from person) + (select count(*)::int from contact) as "all",
            (select count(*)::int from pg_class where relname like 'candidates%') as "left"`,
  );
  expect(rows).toEqual([{ people: 12000, contacts: 5000, all: 17000, left: 0 }]);
  expect((await attemptsOf(ledger, runId)).doneTwice).toBe(0);
});

it('a loader killed while it updates rows where they stand updates none of them twice', async () => {
  const target = await createDatabase(18);
  site = { source: target, target };
  await target.exec(`
    create table item (id int primary key, n int not null default 0, done boolean not null default false, note text);
    insert into item (id, note) select i, repeat('x', 100) from generate_series(1, 9000) i; analyze item`);
  ledger = await createLedger(target);
  fleet = new TestFleet(site);
  onTestFailed(() => console.log(fleet.logs()));
  const barriers = await createBarriers();
  const steps: BarrierName[] = ['copy.commit', 'task.done'];
  barriers.hold(steps[0]!);
  for (const kind of ['scheduler', 'validator', 'loader'] as const) fleet.start(kind, { barriers });
  const runId = await startTestRun(ledger, site, counted);
  await killAt(barriers, steps);
  await ended(ledger, runId);
  const { rows } = await target.query('select n, done, count(*)::int from item group by 1, 2');
  expect(rows).toEqual([{ n: 1, done: true, count: 9000 }]);
  expect((await attemptsOf(ledger, runId)).doneTwice).toBe(0);
});
