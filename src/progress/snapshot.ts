import { RowfleetError } from '../errors.ts';
import { readHolds } from '../ledger/holds.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { readCopySeconds, readFlowFigures } from '../ledger/read-flows.ts';
import { readEvents, readRunSummary } from '../ledger/read-run.ts';
import {
  readBuildsAndChecks,
  readLiveWorkers,
  readRunningAttempts,
  readTroubledBatches,
} from '../ledger/read-tasks.ts';
import { type Session, withSession } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import { flowProgress, rateWindowSeconds } from './flow.ts';
import { overallProgress } from './overall.ts';
import type { ProgressSnapshot } from './types.ts';
import { waitingFor } from './waiting.ts';

async function readInside(session: Session, runId: string): Promise<ProgressSnapshot> {
  const clock = await session.query<{ at: Date }>('select statement_timestamp() as at');
  const run = await readRunSummary(session, runId);
  if (run === undefined) {
    throw new RowfleetError('RUN_UNKNOWN', `the ledger has no run ${runId}`, {
      kind: 'usage',
      hint: 'rowfleet status lists the runs of this target',
    });
  }
  const figures = await readFlowFigures(session, runId, rateWindowSeconds);
  const copySeconds = await readCopySeconds(session, runId);
  const tasks = await readBuildsAndChecks(session, runId);
  const builds = tasks.filter((task) => task.kind === 'build');
  const checks = tasks.filter((task) => task.kind === 'check');
  const workers = await readLiveWorkers(session);
  const attempts = await readRunningAttempts(session, runId);
  const waiting = waitingFor(run, workers);
  const flows = figures.map((one) => flowProgress(one, run.state));
  return {
    at: clock.rows[0]!.at,
    run,
    waiting,
    holds: run.state === 'running' ? await readHolds(session, runId) : [],
    overall: overallProgress({ run, waiting, figures, copySeconds, flows, builds, checks, attempts }),
    flows,
    builds,
    checks,
    troubled: await readTroubledBatches(session, runId),
    attempts,
    workers,
    events: await readEvents(session, runId),
  };
}

/**
 * Reads one moment of a run. Everything in it comes from one snapshot of the ledger, so its parts agree.
 * Throws RUN_UNKNOWN where the ledger has no such run.
 */
export async function readProgress(ledger: Ledger, runId: string): Promise<ProgressSnapshot> {
  return withSession(ledger.pool, (session) =>
    inTransaction(session, 'repeatable read, read only', () => readInside(session, runId)),
  );
}
