import { resolve } from 'node:path';
import { expect } from 'vitest';
import { openQueueBackend } from '../jobs/backend.ts';
import { type CatalogSnapshot, catalogSnapshot, diffSnapshots } from '../src/catalog/snapshot.ts';
import { resumeRun } from '../src/control/resume.ts';
import { type Revision, revisePlan } from '../src/control/revise.ts';
import { startRun } from '../src/control/start.ts';
import { cancelRun, stopRun } from '../src/control/stop.ts';
import { uninstall } from '../src/control/uninstall.ts';
import type { Ledger } from '../src/ledger/ledger.ts';
import { openLedger } from '../src/ledger/ledger.ts';
import { type Run, type RunKind, readRun } from '../src/ledger/runs.ts';
import { parsePlan } from '../src/plan/read/parse.ts';
import { resolvePlan } from '../src/plan/resolve/resolve.ts';
import type { ResolvedPlan } from '../src/plan/resolved-plan.ts';
import { runLoader } from '../workers/loader.ts';
import { runScheduler } from '../workers/scheduler.ts';
import { runValidator } from '../workers/validator.ts';
import { compareDatabases, type TablePair } from './compare.ts';
import { ended } from './fleet-processes.ts';
import type { TestDatabase } from './postgres.ts';

/** The environment variable that stands for a database in plans; each database has its own. */
export function variableOf(database: TestDatabase): string {
  const name = `${database.name.toUpperCase()}_URL`;
  process.env[name] = database.url;
  return name;
}

/** The scheduler, a loader and a validator of one target, in the test's own process. */
export interface InProcessFleet {
  /** Lets them leave in good order. Throws what ended one of them before. */
  stop(): Promise<void>;
}

/** Starts a fleet; its queue is in the target unless `queueUrl` says where. `concurrency` defaults to 2. */
export function startInProcessFleet(
  target: TestDatabase,
  options: { queueUrl?: string; concurrency?: number } = {},
): InProcessFleet {
  process.env.LOG_LEVEL ??= 'silent';
  const leave = new AbortController();
  const member = { targetUrl: target.url, signal: leave.signal, concurrency: 2, ...options };
  const members = Promise.all([runScheduler(member), runLoader(member), runValidator(member)]);
  members.catch(() => {}); // `stop` reports it.
  return {
    async stop() {
      leave.abort();
      await members;
    },
  };
}

/** A target with its ledger, and what a test does to it. */
export interface Target {
  database: TestDatabase;
  ledger: Ledger;
  /** The catalog before the first run. */
  before: CatalogSnapshot;
  startFleet(): void;
  /** Lets the fleets leave in good order. Throws what ended a member of one before. */
  stopFleets(): Promise<void>;
  /** Starts a run of a plan, given without its databases, by default of kind `migrate`; returns its id. `file`: where it stands. */
  start(source: TestDatabase, plan: string, kind?: RunKind, file?: string): Promise<string>;
  /** Waits until a run has ended as it should; fails at once when it ends otherwise. Defaults to `verified`. */
  ended(runId: string, state?: Run['state']): Promise<Run>;
  /** Gives a run another plan; with `dryRun`, tells what that would mean. */
  revise(source: TestDatabase, runId: string, plan: string, dryRun?: boolean): Promise<Revision>;
  stop(runId: string): Promise<void>;
  resume(runId: string): Promise<void>;
  cancel(runId: string): Promise<void>;
  uninstall(): Promise<void>;
  /** The summaries of a run's findings, with their details. */
  findings(
    runId: string,
  ): Promise<{ check: string; relation: string; summary: string; details: unknown[] }[]>;
  /** Rows as in `source`, table by table, and the catalog as before. */
  expectWhole(source: TestDatabase, tables?: TablePair[]): Promise<void>;
  /** The catalog is as before: nothing new, nothing gone, nothing changed. */
  expectCatalogAsBefore(): Promise<void>;
  /** Ends the fleets that still run, and closes the ledger. */
  close(): Promise<void>;
}

/** Holds a plan, given without its databases, against them. Throws what is wrong with it. */
async function resolveFor(
  source: TestDatabase,
  target: TestDatabase,
  body: string,
  { file, allowNonEmpty }: { file: string; allowNonEmpty: boolean },
): Promise<ResolvedPlan> {
  const databases = `source: \${${variableOf(source)}}\ntarget: \${${variableOf(target)}}\n`;
  const { plan, problems } = parsePlan(databases + body, resolve(import.meta.dirname, file));
  if (plan === undefined) throw new Error(JSON.stringify(problems));
  const request = { ...plan, allowNonEmpty: plan.allowNonEmpty || allowNonEmpty };
  const { resolved, problems: found } = await resolvePlan(request, await source.open(), await target.open());
  if (resolved === undefined) throw new Error(JSON.stringify(found));
  return resolved;
}

/** Takes a database as the target of runs. Its schema must stand. */
export async function openTarget(database: TestDatabase, queueUrl?: string): Promise<Target> {
  const before = await catalogSnapshot(await database.open());
  const ledger = openLedger(database.endpoint, { max: 4 });
  const fleets: InProcessFleet[] = [];
  const target: Target = {
    database,
    ledger,
    before,
    startFleet() {
      fleets.push(startInProcessFleet(database, queueUrl === undefined ? {} : { queueUrl }));
    },
    stopFleets: async () => void (await Promise.all(fleets.splice(0).map((fleet) => fleet.stop()))),
    async start(source, body, kind = 'migrate', file = 'plan.yaml') {
      const resolved = await resolveFor(source, database, body, { file, allowNonEmpty: kind === 'validate' });
      return startRun(ledger, { resolved, file, kind, actor: 'test' });
    },
    async revise(source, runId, body, dryRun = false) {
      const file = 'plan.yaml';
      // The run has filled its tables.
      const resolved = await resolveFor(source, database, body, { file, allowNonEmpty: true });
      return revisePlan(ledger, runId, { resolved, file, actor: 'test', dryRun });
    },
    ended: (runId, state = 'verified') => ended(ledger, runId, state),
    stop: async (runId) => void (await stopRun(ledger, runId, 'test')),
    resume: async (runId) => resumeRun(ledger, await readRun(ledger.pool, runId), 'test'),
    cancel: async (runId) => cancelRun(ledger, await readRun(ledger.pool, runId), 'test'),
    async uninstall() {
      const backend = await openQueueBackend(queueUrl, ledger);
      await uninstall(ledger, () => backend.destroy());
    },
    async findings(runId) {
      const { rows } = await ledger.pool.query(
        'select check_name as "check", relation, summary, details from rowfleet.finding where run_id = $1 order by id',
        [runId],
      );
      return rows;
    },
    async expectWhole(source, tables) {
      expect(await compareDatabases(source, database, tables)).toEqual([]);
      await target.expectCatalogAsBefore();
    },
    async expectCatalogAsBefore() {
      expect(diffSnapshots(before, await catalogSnapshot(await database.open()))).toEqual([]);
    },
    async close() {
      await target.stopFleets();
      await ledger.close();
    },
  };
  return target;
}
