import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openTarget } from '../../src/control/open.ts';
import { startRun } from '../../src/control/start.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { endpointFromUrl } from '../../src/pg/endpoint.ts';
import { openSession } from '../../src/pg/session.ts';
import { parsePlan } from '../../src/plan/parse.ts';
import { resolvePlan } from '../../src/plan/resolve.ts';

/** What is measured is what runs in production: the compiled command, which `npm run bench` builds first. */
const cli = fileURLToPath(new URL('../../dist/ops/cli/main.js', import.meta.url));

const plan = (table: string) => `
name: bench-${table}
source: \${SOURCE_DATABASE_URL}
target: \${TARGET_DATABASE_URL}
migration: {validation_level: standard, timeout_per_batch: 120s}
tables: [${table}]
`;

/** Seconds of a run's phases, from its events in the ledger. */
export interface PhaseSeconds {
  copy: number;
  verify: number;
}

/** A fleet of one scheduler, one loader that copies one batch at a time, and one validator, in processes of their own. */
export class BenchFleet {
  readonly #urls: { source: string; target: string };
  readonly #ledger: Ledger;
  readonly #children: Record<'scheduler' | 'loader' | 'validator', ChildProcess>;

  private constructor(urls: { source: string; target: string }, ledger: Ledger) {
    this.#urls = urls;
    this.#ledger = ledger;
    const env = {
      ...process.env,
      SOURCE_DATABASE_URL: urls.source,
      TARGET_DATABASE_URL: urls.target,
      LOG_LEVEL: 'error',
    };
    const start = (...args: string[]) =>
      spawn(process.execPath, [cli, ...args], {
        env,
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
    this.#children = {
      scheduler: start('scheduler'),
      loader: start('loader', '--concurrency', '1'),
      validator: start('validator'),
    };
  }

  /** Starts the fleet and waits until all three have joined. */
  static async start(source: string, target: string): Promise<BenchFleet> {
    const ledger = await openTarget(endpointFromUrl(target), 'rowfleet bench');
    const fleet = new BenchFleet({ source, target }, ledger);
    for (;;) {
      const { rows } = await ledger.pool.query(
        'select count(distinct kind)::int as kinds from rowfleet.worker',
      );
      if (rows[0].kinds === 3) return fleet;
      await sleep(100);
    }
  }

  /** Migrates one table and tells how long its phases took. Throws when the run does not end verified. */
  async run(table: string): Promise<PhaseSeconds> {
    const parsed = parsePlan(plan(table), `bench-${table}.yaml`);
    const source = await openSession(endpointFromUrl(this.#urls.source), 'rowfleet bench');
    const target = await openSession(endpointFromUrl(this.#urls.target), 'rowfleet bench');
    process.env.SOURCE_DATABASE_URL = this.#urls.source;
    const { resolved, problems } = await resolvePlan(parsed.plan!, source, target);
    await source.end();
    await target.end();
    if (resolved === undefined) throw new Error(JSON.stringify(problems));
    const id = await startRun(this.#ledger, {
      resolved,
      file: `bench-${table}.yaml`,
      kind: 'migrate',
      actor: 'bench',
    });
    for (;;) {
      const { rows } = await this.#ledger.pool.query('select state, error from rowfleet.run where id = $1', [
        id,
      ]);
      if (rows[0].state === 'verified') return this.#phaseSeconds(id);
      if (rows[0].state !== 'running')
        throw new Error(`run ${id} is ${rows[0].state}: ${JSON.stringify(rows[0].error)}`);
      await sleep(100);
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

  /** Highest resident memory of the loader so far, as the kernel saw it (Linux). */
  loaderPeakMegabytes(): number {
    const status = readFileSync(`/proc/${this.#children.loader.pid}/status`, 'utf8');
    return Math.round(Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024);
  }

  async stop(): Promise<void> {
    const children = Object.values(this.#children);
    for (const child of children) child.kill('SIGTERM');
    await Promise.all(children.map((child) => new Promise((resolve) => child.once('exit', resolve))));
    await this.#ledger.close();
  }
}
