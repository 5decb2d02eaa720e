import { expect, onTestFailed } from 'vitest';
import { type CatalogSnapshot, catalogSnapshot, diffSnapshots } from '../../src/catalog/snapshot.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { compareDatabases } from '../compare.ts';
import { ended, type FleetSite, startTestRun, TestFleet } from '../fleet-processes.ts';
import { createLedger } from '../ledger.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

const shape = `
  create table author (id int primary key, name text not null unique);
  create table book (
    id bigint generated always as identity primary key,
    author_id int not null references author,
    title text not null,
    price numeric(8, 2),
    at timestamptz,
    raw bytea
  );
  create index book_title on book (title);
  create table note (book_id bigint references book on delete cascade, body text);
`;

const rows = `
  insert into author select i, 'author ' || i from generate_series(1, 500) i;
  insert into book (author_id, title, price, at, raw)
    select 1 + i % 500, repeat('title ', i % 20) || i, i % 977 / 100.0, timestamptz '2020-01-01' + i * interval '1 minute',
           decode(md5(i::text), 'hex')
      from generate_series(1, 20000) i;
  insert into note select i, E'tab\\t and \\\\. and ' || i from generate_series(1, 10000) i;
  analyze;
`;

/** Small batches, so that a crash always finds some done, some under way and some to come. */
const plan = `
name: crash
source: \${SOURCE_DATABASE_URL}
target: \${TARGET_DATABASE_URL}
migration: {batch_size: 500, max_retries: 3, timeout_per_batch: 60s, validation_level: standard}
tables: "*"
`;

/** A migration of a small library, and what must be true of it in the end, whatever died on the way. */
export interface Scenario {
  site: FleetSite;
  ledger: Ledger;
  fleet: TestFleet;
  start(): Promise<string>;
  /** Waits until the run is verified and holds target against source, rows and catalog, with plain SQL. */
  expectWhole(runId: string): Promise<void>;
  /** Holds target against source, rows and catalog, with plain SQL. */
  expectSame(): Promise<void>;
  close(): Promise<void>;
}

/**
 * PostgreSQL 15 to 18, a real upgrade path. The queue is in the target unless `queueUrl` says where; `databases`, empty
 * ones, default to new ones on the test run's servers.
 */
export async function createScenario(
  queueUrl?: string,
  databases?: { source: TestDatabase; target: TestDatabase },
): Promise<Scenario> {
  const source = databases?.source ?? (await createDatabase(15));
  const target = databases?.target ?? (await createDatabase(18));
  await source.exec(shape + rows);
  await target.exec(shape);
  const ledger = await createLedger(target);
  const site: FleetSite = { source, target, ...(queueUrl === undefined ? {} : { queueUrl }) };
  const fleet = new TestFleet(site);
  onTestFailed(() => console.log(fleet.logs()));
  let before: CatalogSnapshot;
  const expectSame = async () => {
    expect(await compareDatabases(source, target)).toEqual([]);
    const after = await catalogSnapshot(await target.open(), ['public']);
    expect(diffSnapshots(before, after)).toEqual([]);
  };
  return {
    site,
    ledger,
    fleet,
    async start() {
      before = await catalogSnapshot(await target.open(), ['public']);
      return startTestRun(ledger, site, plan);
    },
    async expectWhole(runId) {
      await ended(ledger, runId);
      await expectSame();
    },
    expectSame,
    async close() {
      await fleet.killAll();
      await ledger.close();
      await source.drop();
      await target.drop();
    },
  };
}

/** Outcomes of the attempts of a run, and how many tasks were done more than once. */
export async function attemptsOf(ledger: Ledger, runId: string) {
  const { rows: outcomes } = await ledger.pool.query(
    `select outcome, count(*)::int as n from rowfleet.attempt where run_id = $1 group by outcome`,
    [runId],
  );
  const { rows: doubled } = await ledger.pool.query(
    `select task_id from rowfleet.attempt where run_id = $1 and outcome = 'done' group by task_id having count(*) > 1`,
    [runId],
  );
  return { ...Object.fromEntries(outcomes.map(({ outcome, n }) => [outcome, n])), doneTwice: doubled.length };
}
