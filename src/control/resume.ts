import { usageError } from '../errors.ts';
import { countFindings, deleteFindings } from '../ledger/findings.ts';
import { liftHold, liftPauses } from '../ledger/holds.ts';
import type { Ledger, Queryable } from '../ledger/ledger.ts';
import { lockRun } from '../ledger/lock-run.ts';
import { deleteFinishSteps } from '../ledger/objects.ts';
import {
  lockRuns,
  type Phase,
  type Run,
  type RunState,
  readRun,
  readUnfinishedRuns,
  recordEvent,
  setMended,
  setPhase,
  setRunState,
} from '../ledger/runs.ts';
import { deleteTasks, deleteUnfinishedBuilds, isCopyDone, reopenFailedTasks } from '../ledger/tasks.ts';
import { withSession } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';

/** The newest unfinished run of a plan, or the only one of the target. */
function unfinishedRun(runs: Run[], planName: string | undefined): Run {
  const [newest, ...others] = runs.filter((run) => planName === undefined || run.name === planName);
  const of = planName === undefined ? 'this target' : `plan "${planName}"`;
  if (newest === undefined)
    throw usageError('NOTHING_UNFINISHED', `${of} has no unfinished run here`, 'see `rowfleet status`');
  if (planName !== undefined || others.length === 0) return newest;
  const ids = [newest, ...others].map(({ id }) => id).join(', ');
  throw usageError('RUN_AMBIGUOUS', `${of} has several unfinished runs: ${ids}`, 'name one of them');
}

/**
 * The run that a command is about: the one named, or the plan's only unfinished one; without a plan, the target's.
 * Throws RUN_UNKNOWN, RUN_OTHER_PLAN, NOTHING_UNFINISHED or RUN_AMBIGUOUS.
 */
export async function chooseRun(ledger: Ledger, planName?: string, runId?: string): Promise<Run> {
  if (runId === undefined) return unfinishedRun(await readUnfinishedRuns(ledger.pool), planName);
  const run = await readRun(ledger.pool, runId);
  if (planName === undefined || run.name === planName) return run;
  throw usageError('RUN_OTHER_PLAN', `run ${runId} belongs to plan "${run.name}"`, 'name that plan with -c');
}

/** Went to its end without being verified: it is verified anew. */
const finishedStates: readonly RunState[] = ['findings', 'quarantined'];

/** Where checks are made, or stand: people who were told of a failure may have mended rows that these had seen. */
const phasesOfChecks: readonly Phase[] = ['verify', 'constrain', 'finish'];

const resumable: readonly RunState[] = ['stopped', 'failed', ...finishedStates];

/** Puts a run back before its checks, or to its copy where that is not done: checks, findings and last steps are made anew. */
export async function verifyAnew(tx: Queryable, run: Run): Promise<void> {
  await deleteTasks(tx, run.id, 'check');
  await deleteFindings(tx, run.id);
  await deleteUnfinishedBuilds(tx, run.id);
  await deleteFinishSteps(tx, run.id);
  if (run.kind === 'migrate') await setPhase(tx, run.id, (await isCopyDone(tx, run.id)) ? 'index' : 'copy');
}

/**
 * Lets a run go on from what the ledger says is not done: failed tasks get new tries, checks and findings are
 * made anew. `tx` is a transaction that holds `lockRuns`. Throws RUN_ENDED.
 */
export async function goOn(tx: Queryable, run: Run): Promise<void> {
  const resumed = await setRunState(tx, run.id, resumable, 'running');
  if (!resumed) {
    throw usageError(
      'RUN_ENDED',
      `run ${run.id} is ${run.state} and cannot go on`,
      'start a new run with `rowfleet migrate`',
    );
  }
  await liftPauses(tx, run.id);
  await liftHold(tx, run.id, { kind: 'throttle' }); // Its time limit begins anew.
  await reopenFailedTasks(tx, run.id);
  const failedAfterCopy = run.state === 'failed' && phasesOfChecks.includes(run.phase);
  if (!finishedStates.includes(run.state) && !failedAfterCopy) return;
  const found = await countFindings(tx, run.id, 'cancelled');
  if (run.kind === 'migrate' && (found > 0 || failedAfterCopy)) await setMended(tx, run.id);
  await verifyAnew(tx, run);
}

/** Lets a run go on, as `goOn` does. A run that is running already stays as it is. Throws RUN_ENDED. */
export async function resumeRun(ledger: Ledger, run: Run, actor: string): Promise<void> {
  await withSession(ledger.pool, (session) =>
    inTransaction(session, 'read committed', async () => {
      await lockRuns(session);
      const current = await lockRun(session, run.id);
      if (current.state === 'running') return;
      await goOn(session, current);
      await recordEvent(session, run.id, actor, 'resumed');
    }),
  );
}
