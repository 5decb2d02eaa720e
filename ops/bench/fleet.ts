import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openTarget } from '../../src/control/open.ts';
import { startRun } from '../../src/control/start.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { openSession } from '../../src/pg/session.ts';
import { plansVariable } from '../../src/plan/plans-folders.ts';
import { parsePlan } from '../../src/plan/read/parse.ts';
import { resolvePlan } from '../../src/plan/resolve/resolve.ts';
import type { ResolvedPlan } from '../../src/plan/resolved-plan.ts';

/** What is measured is what runs in production: the compiled command, which `npm run bench` builds first. */
const cli = fileURLToPath(new URL('../../dist/ops/cli/main.js', import.meta.url));

/** Where plans of benches stand: what their transforms name lies below it. */
const folder = fileURLToPath(new URL('.', import.meta.url));

/** What a plan of a bench has of its own. `level`: of validation, by default standard. */
export type BenchPlan = ({ tables: string[] } | { flows: object[] }) & { level?: 'basic' | 'standard' };

// JSON is YAML.
const planText = ({ level = 'standard', ...plan }: BenchPlan) =>
  JSON.stringify({
    name: 'bench',
    source: '${SOURCE_DATABASE_URL}',
    target: '${TARGET_DATABASE_URL}',
    migration: { validation_level: level, timeout_per_batch: '120s' },
    ...plan,
  });

/** Seconds of a run's phases, from its events in the ledger. */
export interface PhaseSeconds {
  copy: number;
  verify: number;
}

/** How many loaders there are, and how many batches each of them copies at once. */
export interface Crew {
  loaders: number;
  concurrency: number;
}

/** A fleet of one scheduler, loaders, and one validator, in processes of their own. */
export class BenchFleet {
  readonly #urls: { source: string; target: string };
  readonly #ledger: Ledger;
  readonly #loaders: ChildProcess[];
  readonly #others: ChildProcess[];

  private constructor(urls: { source: string; target: string }, ledger: Ledger, crew: Crew) {
    this.#urls = urls;
    this.#ledger = ledger;
    const env = {
      ...process.env,
      SOURCE_DATABASE_URL: urls.source,
      TARGET_DATABASE_URL: urls.target,
      LOG_LEVEL: 'error',
      [plansVariable]: folder,
    };
    const start = (...args: string[]) =>
      spawn(process.execPath, [cli, ...args], {
        env,
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
    this.#others = [start('scheduler'), start('validator')];
    const concurrency = String(crew.concurrency);
    this.#loaders = Array.from({ length: crew.loaders }, () => start('loader', '--concurrency', concurrency));
  }

  /** Starts the fleet and waits until all have joined. Defaults to one loader that copies one batch at a time. */
  static async start(
    source: string,
    target: string,
    crew: Crew = { loaders: 1, concurrency: 1 },
  ): Promise<BenchFleet> {
    const ledger = await openTarget(endpointFromUrl(target), 'rowfleet bench');
    const fleet = new BenchFleet({ source, target }, ledger, crew);
    for (;;) {
      const { rows } = await ledger.pool.query('select count(*)::int as joined from rowfleet.worker');
      if (rows[0].joined === 2 + crew.loaders) return fleet;
      await sleep(100);
    }
  }

  /**
   * Migrates by a plan and tells how long its phases took. Throws when the run does not end verified.
   * @param onCopied called when the last batch is done; to see it at once costs cores a share of their time
   */
  async run(plan: BenchPlan, onCopied?: () => void): Promise<PhaseSeconds> {
    const id = await startRun(this.#ledger, {
      resolved: await this.#resolve(plan),
      file: 'bench.yaml',
      kind: 'migrate',
      actor: 'bench',
    });
    if (onCopied !== undefined) {
      await this.#until(id, ['index', 'verify', 'constrain', 'finish'], 20);
      onCopied();
    }
    await this.#until(id, [], 250);
    return this.#phaseSeconds(id);
  }

  async #resolve(plan: BenchPlan): Promise<ResolvedPlan> {
    process.env.SOURCE_DATABASE_URL = this.#urls.source;
    const parsed = parsePlan(planText(plan), join(folder, 'bench.yaml'));
    if (parsed.plan === undefined) throw new Error(JSON.stringify(parsed.problems));
    const source = await openSession(endpointFromUrl(this.#urls.source), 'rowfleet bench');
    const target = await openSession(endpointFromUrl(this.#urls.target), 'rowfleet bench');
    const { resolved, problems } = await resolvePlan(parsed.plan, source, target);
    await source.end();
    await target.end();
    if (resolved === undefined) throw new Error(JSON.stringify(problems));
    return resolved;
  }

  /** Waits until a run is in one of these phases, or verified: looks every `everyMs`. */
  async #until(id: string, phases: string[], everyMs: number): Promise<void> {
    for (;;) {
      const { rows } = await this.#ledger.pool.query(
        'select state, phase, error from rowfleet.run where id = $1',
        [id],
      );
      const { state, phase, error } = rows[0];
      if (state === 'verified' || (state === 'running' && phases.includes(phase))) return;
      if (state !== 'running') throw new Error(`run ${id} is ${state}: ${JSON.stringify(error)}`);
      await sleep(everyMs);
    }
  }

  /** From the first claim to the last commit; and the verify phase. */
  async #phaseSeconds(id: string): Promise<PhaseSeconds> {
    const { rows } = await this.#ledger.pool.query(
      `select t.kind, extract(epoch from max(a.ended_at) - min(a.started_at))::float8 as seconds
         from rowfleet.task t join rowfleet.attempt a on a.task_id = t.id
        where t.run_id = $1 and t.kind in ('batch', 'check') group by t.kind`,
      [id],
    );
    const of = (kind: string): number => rows.find((row: { kind: string }) => row.kind === kind).seconds;
    return { copy: of('batch'), verify: of('check') };
  }

  /** Highest resident memory of the first loader so far, as the kernel saw it (Linux). */
  loaderPeakMegabytes(): number {
    const status = readFileSync(`/proc/${this.#loaders[0]!.pid}/status`, 'utf8');
    return Math.round(Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024);
  }

  async stop(): Promise<void> {
    const children = [...this.#others, ...this.#loaders];
    for (const child of children) child.kill('SIGTERM');
    await Promise.all(children.map((child) => new Promise((resolve) => child.once('exit', resolve))));
    await this.#ledger.close();
  }
}
