import type { Ledger } from '../ledger/ledger.ts';
import {
  countActiveRuns,
  type FleetFigures,
  readFleet,
  readWorkerFigures,
  type WorkerFigures,
} from '../ledger/read-fleet.ts';
import { listRuns, type RunSummary } from '../ledger/read-run.ts';
import { type LiveWorker, readLiveWorkers } from '../ledger/read-tasks.ts';
import { type Session, withSession } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import { readProgress } from './snapshot.ts';
import type { ProgressSnapshot } from './types.ts';

/** The runs of a target and who works on them. */
export interface FleetOverview {
  /** Newest first. */
  runs: RunSummary[];
  /** The moment of each run that is under way, and of the newest ones; by run id. */
  snapshots: Map<string, ProgressSnapshot>;
  workers: LiveWorker[];
}

/** Whether there is work, and somebody to do it. */
export interface FleetAttendance {
  activeRuns: number;
  workers: WorkerFigures[];
}

const once = <T>(ledger: Ledger, read: (session: Session) => Promise<T>): Promise<T> =>
  withSession(ledger.pool, (session) =>
    inTransaction(session, 'repeatable read, read only', () => read(session)),
  );

/** Runs that are listed, and how many of the newest come with their snapshot whatever their state. */
const [listed, detailed] = [20, 3];

/** Reads the newest 20 runs, with a snapshot of those under way and of the newest 3. */
export async function readOverview(ledger: Ledger): Promise<FleetOverview> {
  const { runs, workers } = await once(ledger, async (session) => ({
    runs: await listRuns(session, { limit: listed }),
    workers: await readLiveWorkers(session),
  }));
  const snapshots: FleetOverview['snapshots'] = new Map();
  for (const [place, { id, state }] of runs.entries()) {
    const active = state === 'running' || state === 'cancelling';
    if (active || place < detailed) snapshots.set(id, await readProgress(ledger, id));
  }
  return { runs, snapshots, workers };
}

/** The processes of the fleet that were seen within the last `seconds`. */
export function readPresentWorkers(ledger: Ledger, seconds: number): Promise<LiveWorker[]> {
  return once(ledger, (session) => readLiveWorkers(session, seconds));
}

/** The figures behind /metrics, from one snapshot of the ledger. */
export function readFigures(ledger: Ledger): Promise<FleetFigures> {
  return once(ledger, (session) => readFleet(session));
}

/** What /health asks the ledger. */
export function readAttendance(ledger: Ledger): Promise<FleetAttendance> {
  return once(ledger, async (session) => ({
    activeRuns: await countActiveRuns(session),
    workers: await readWorkerFigures(session),
  }));
}
