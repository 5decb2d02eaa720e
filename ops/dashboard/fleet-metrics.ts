import { Counter, Gauge, Registry } from 'prom-client';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { FleetFigures, TaskFigures } from '../../src/ledger/read-fleet.ts';
import { readFigures } from '../../src/progress/fleet.ts';

const taskLabels = ['run', 'plan', 'kind', 'flow'] as const;

/** The text that Prometheus reads, and its content type. */
export interface MetricsPage {
  contentType: string;
  text: string;
}

function addRuns(registry: Registry, { runs }: FleetFigures): void {
  const registers = [registry];
  const state = new Gauge({
    name: 'rowfleet_run_state',
    help: 'Always 1: the state and phase that a run is in, as labels.',
    labelNames: ['run', 'plan', 'state', 'phase'] as const,
    registers,
  });
  const findings = new Gauge({
    name: 'rowfleet_run_findings',
    help: 'Findings that the validator recorded for a run.',
    labelNames: ['run', 'plan'] as const,
    registers,
  });
  for (const { run, plan, state: is, phase, findings: found } of runs) {
    state.set({ run, plan, state: is, phase }, 1);
    findings.set({ run, plan }, found);
  }
}

function addTasks(registry: Registry, { runs, tasks }: FleetFigures): void {
  const registers = [registry];
  const counter = (name: string, help: string) =>
    new Counter({ name, help, labelNames: taskLabels, registers });
  const byState = new Gauge({
    name: 'rowfleet_run_tasks',
    help: 'Batches, builds and checks of a run, by state.',
    labelNames: [...taskLabels, 'state'] as const,
    registers,
  });
  const running = new Gauge({
    name: 'rowfleet_run_attempts_running',
    help: 'Attempts that run now.',
    labelNames: taskLabels,
    registers,
  });
  const sums: [keyof TaskFigures, Counter<(typeof taskLabels)[number]>][] = [
    ['rows', counter('rowfleet_run_rows_total', 'Rows that the target took in committed batches.')],
    ['bytes', counter('rowfleet_run_bytes_total', 'Bytes of COPY data in committed batches.')],
    ['seconds', counter('rowfleet_run_task_seconds_total', 'Seconds that finished tasks took together.')],
    ['failures', counter('rowfleet_run_failed_attempts_total', 'Attempts that ended in an error.')],
  ];
  const plans = new Map(runs.map(({ run, plan }) => [run, plan]));
  for (const figures of tasks) {
    const { run, kind, state, tasks: count, attempts } = figures;
    const labels = { run, plan: plans.get(run) ?? '', kind, flow: figures.flow ?? '' };
    byState.set({ ...labels, state }, count);
    running.inc(labels, attempts);
    for (const [field, sum] of sums) {
      const copied = field === 'rows' || field === 'bytes';
      if (kind === 'batch' || !copied) sum.inc(labels, figures[field] as number);
    }
  }
}

function addWorkers(registry: Registry, { workers }: FleetFigures): void {
  const labelNames = ['kind'] as const;
  const registers = [registry];
  const alive = new Gauge({
    name: 'rowfleet_workers',
    help: 'Processes of the fleet that were seen within the last 10 seconds.',
    labelNames,
    registers,
  });
  const slots = new Gauge({
    name: 'rowfleet_worker_slots',
    help: 'Tasks of each kind that those processes can have in hand at the same time.',
    labelNames,
    registers,
  });
  for (const { kind, workers: count, concurrency } of workers) {
    alive.set({ kind }, count);
    slots.set({ kind }, concurrency);
  }
}

/** The whole fleet's figures, from one snapshot of the ledger: runs under way and the newest ones. */
export async function renderFleetMetrics(ledger: Ledger): Promise<MetricsPage> {
  const fleet = await readFigures(ledger);
  const registry = new Registry();
  addRuns(registry, fleet);
  addTasks(registry, fleet);
  addWorkers(registry, fleet);
  return { contentType: registry.contentType, text: await registry.metrics() };
}
