import { openQueueBackend } from '../../jobs/backend.ts';
import { wakeScheduler } from '../../jobs/control.ts';
import { openQueues } from '../../jobs/queues.ts';
import { refuseUnfinished, startRun } from '../../src/control/start.ts';
import { type Ledger, ledgerExists, migrateLedger, openLedger } from '../../src/ledger/ledger.ts';
import { type RunKind, readUnfinishedRuns } from '../../src/ledger/runs.ts';
import type { CommonOptions } from './command.ts';
import type { ExitCode } from './exit-code.ts';
import type { PlanFile } from './plan-file.ts';
import { withResolvedPlan } from './resolve-file.ts';
import { actor } from './target.ts';

/**
 * Opens the queue, which proves that it answers before a fleet is started on it, and rings the scheduler for a run.
 * A lost ring only costs the second until the scheduler looks by itself.
 */
export async function ringScheduler(ledger: Ledger, runId: string): Promise<void> {
  const backend = await openQueueBackend(process.env.QUEUE_URL, ledger);
  const queues = openQueues(backend);
  try {
    await wakeScheduler(queues.control, runId);
  } finally {
    await queues.close();
  }
}

/** Refuses a plan that has an unfinished run. Before it is resolved: the tables of that run hold rows by now. */
async function refuseSecondRun(ledger: Ledger, file: PlanFile): Promise<void> {
  if (!(await ledgerExists(ledger.pool))) return;
  for (const run of await readUnfinishedRuns(ledger.pool)) refuseUnfinished(run, file.plan.name, file.given);
}

/**
 * Starts a run of a plan and hands its id to `follow`: resolves the plan against both databases, applies its schema
 * files (`migrate` only), creates the ledger where there is none, and rings the scheduler.
 */
export async function launch(
  file: PlanFile,
  kind: RunKind,
  options: CommonOptions,
  follow: (ledger: Ledger, runId: string) => Promise<ExitCode>,
): Promise<ExitCode> {
  const ledger = openLedger(file.target, { max: 3, applicationName: 'rowfleet cli' });
  try {
    if (kind === 'migrate') await refuseSecondRun(ledger, file);
    // A validation is about the rows that are there.
    const checked = kind === 'migrate' ? file : { ...file, plan: { ...file.plan, allowNonEmpty: true } };
    const schema = kind === 'migrate' ? 'keep' : 'skip';
    const resolved = await withResolvedPlan(checked, options, schema, async (plan) => plan);
    await migrateLedger(ledger);
    const runId = await startRun(ledger, { resolved, file: file.given, kind, actor: actor() });
    await ringScheduler(ledger, runId);
    return await follow(ledger, runId);
  } finally {
    await ledger.close();
  }
}
