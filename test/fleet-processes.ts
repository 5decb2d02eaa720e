import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inject } from 'vitest';
import type { BarrierName } from '../src/barrier.ts';
import { startRun } from '../src/control/start.ts';
import type { Ledger } from '../src/ledger/ledger.ts';
import { type Run, type RunKind, readRun } from '../src/ledger/runs.ts';
import { parsePlan } from '../src/plan/read/parse.ts';
import { resolvePlan } from '../src/plan/resolve/resolve.ts';
import type { TestDatabase } from './postgres.ts';

/** Waits until `condition` yields something; fails with `what` after `seconds` (default 90). */
export async function until<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  seconds = 90,
): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await condition();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain until ${what}`);
    await sleep(25);
  }
}

/** Places where processes of a test stop: see src/barrier.ts. */
export class Barriers {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  hold(name: BarrierName): void {
    writeFileSync(join(this.folder, `${name}.hold`), '');
  }

  release(name: BarrierName): void {
    rmSync(join(this.folder, `${name}.hold`), { force: true });
  }

  /** The pid of a process that stands at the barrier, and is none of `others`, who did before. */
  reached(name: BarrierName, others: readonly (number | undefined)[] = []): Promise<number> {
    return until(`a process reaches ${name}`, () => {
      const files = readdirSync(this.folder).filter((entry) => entry.startsWith(`${name}.reached.`));
      return files.map((file) => Number(file.split('.').at(-1))).find((pid) => !others.includes(pid));
    });
  }
}

/** One process of a fleet, started from the command line as ops would. */
export interface FleetProcess {
  child: ChildProcess;
  /** What it logged so far. */
  log(): string;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with the exit code; null after a signal. */
  exited: Promise<number | null>;
}

export interface FleetSite {
  source: TestDatabase;
  target: TestDatabase;
  queueUrl?: string;
}

/** Environment of everything that runs against a pair of databases. */
export function siteEnvironment(site: FleetSite): NodeJS.ProcessEnv {
  const { PGHOST: _host, PGPASSWORD: _password, QUEUE_URL: _queue, ...env } = process.env;
  return {
    ...env,
    SOURCE_DATABASE_URL: site.source.url,
    TARGET_DATABASE_URL: site.target.url,
    ...(site.queueUrl === undefined ? {} : { QUEUE_URL: site.queueUrl }),
    NO_COLOR: '1',
  };
}

/** Runs the command line in a process of its own. */
export function spawnCli(args: string[], env: NodeJS.ProcessEnv): FleetProcess & { output(): string } {
  const child = spawn(process.execPath, [inject('cli'), ...args], {
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let [out, log] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    log += chunk;
  });
  const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  return { child, output: () => out, log: () => log, kill: (signal) => void child.kill(signal), exited };
}

type FleetKind = 'scheduler' | 'loader' | 'validator';

/** A fleet of a test: its processes all end with it. */
export class TestFleet {
  readonly processes: (FleetProcess & { kind: FleetKind })[] = [];
  readonly #site: FleetSite;

  constructor(site: FleetSite) {
    this.#site = site;
  }

  start(
    kind: FleetKind,
    options: { barriers?: Barriers; concurrency?: number; env?: NodeJS.ProcessEnv } = {},
  ) {
    const args = kind === 'loader' ? [kind, '--concurrency', String(options.concurrency ?? 1)] : [kind];
    const env = { ...siteEnvironment(this.#site), ...options.env };
    if (options.barriers !== undefined) env.ROWFLEET_BARRIERS = options.barriers.folder;
    const process = { ...spawnCli(args, env), kind };
    this.processes.push(process);
    return process;
  }

  /** What its processes logged: for the report of a test that failed. */
  logs(): string {
    return this.processes
      .map((process) => `${process.child.spawnargs.slice(2).join(' ')}\n${process.log()}`)
      .join('\n');
  }

  async killAll(): Promise<void> {
    for (const process of this.processes) {
      process.kill('SIGCONT');
      process.kill('SIGKILL');
    }
    await Promise.all(this.processes.map((process) => process.exited));
  }
}

/** Resolves a plan's YAML against a pair of databases and starts a run of it; returns its id. */
export async function startTestRun(
  ledger: Ledger,
  site: FleetSite,
  yaml: string,
  kind: RunKind = 'migrate',
): Promise<string> {
  const { plan, problems } = parsePlan(yaml, join(tmpdir(), 'test-plan.yaml'));
  if (plan === undefined) throw new Error(JSON.stringify(problems));
  const [source, target] = [await site.source.open(), await site.target.open()];
  const request = { ...plan, allowNonEmpty: plan.allowNonEmpty || kind === 'validate' };
  const resolution = await resolvePlan(request, source, target);
  if (resolution.resolved === undefined) throw new Error(JSON.stringify(resolution.problems));
  return startRun(ledger, {
    resolved: resolution.resolved,
    file: 'test-plan.yaml',
    kind,
    actor: 'test',
  });
}

/** What a run that does not end was about: its phase, what it waits for, its open tasks and its last events. */
async function whereItStands({ pool }: Ledger, runId: string): Promise<string> {
  const { phase, waiting } = await readRun(pool, runId);
  const { rows: tasks } = await pool.query(
    `select id, kind, flow, mode, state, attempt, not_before, error ->> 'message' as error from rowfleet.task
      where run_id = $1 and state in ('waiting', 'running') limit 5`,
    [runId],
  );
  const { rows: holds } = await pool.query('select kind, reason from rowfleet.hold where run_id = $1', [
    runId,
  ]);
  const { rows: events } = await pool.query(
    'select at, message from rowfleet.event where run_id = $1 order by id desc limit 6',
    [runId],
  );
  const { rows: workers } = await pool.query('select id, seen_at, trouble, away from rowfleet.worker');
  return JSON.stringify({ phase, waiting, tasks, holds, events, workers }, null, 1);
}

/** Waits until a run has ended; fails at once, with its error, when it ends in another state than `state`. */
export async function ended(ledger: Ledger, runId: string, state: Run['state'] = 'verified'): Promise<Run> {
  const end = until(
    `run ${runId} is ${state}`,
    async () => {
      const run = await readRun(ledger.pool, runId);
      if (run.state === state) return run;
      if (!['running', 'cancelling'].includes(run.state)) {
        const { rows } = await ledger.pool.query(
          'select summary, details from rowfleet.finding where run_id = $1',
          [runId],
        );
        throw new Error(
          `run ${runId} is ${run.state}: ${JSON.stringify({ error: run.error, findings: rows })}`,
        );
      }
      return undefined;
    },
    120,
  );
  return end.catch(async (error: Error) => {
    if (error.message.includes('in vain')) error.message += `: ${await whereItStands(ledger, runId)}`;
    throw error;
  });
}

/** A new folder for barriers. */
export async function createBarriers(): Promise<Barriers> {
  return new Barriers(await mkdtemp(join(tmpdir(), 'rowfleet-barriers-')));
}
