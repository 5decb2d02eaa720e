import type { Hold } from '../ledger/holds.ts';
import type { RunEvent, RunSummary } from '../ledger/read-run.ts';
import type { LiveWorker, RunningAttempt, TaskProgress } from '../ledger/read-tasks.ts';

export type FlowState = 'waiting' | 'copying' | 'done' | 'failed' | 'cancelled';

/** How far one flow has come. */
export interface FlowProgress {
  name: string;
  /** Display name of the target table. */
  target: string;
  state: FlowState;
  /** Rows expected in all: an estimate until the flow is done. */
  estimatedRows: number;
  /** Rows that the target holds in committed batches. */
  rows: number;
  /** Rows on their way in batches that have not committed, judged by their bytes. */
  rowsInFlight: number;
  bytes: number;
  bytesInFlight: number;
  /** Over the last seconds while the flow copies, over its whole time once it is done. */
  rowsPerSecond: number;
  bytesPerSecond: number;
  batches: { waiting: number; running: number; done: number; failed: number };
  /** It is read with another flow: its batches are that one's. */
  follows: boolean;
  /** While it waits: flows that have to be copied before. */
  waitsFor: string[];
  /** 0 to 1; 1 only when every batch has committed. */
  fraction: number;
}

/** What is left, in seconds; or why nobody can tell yet. */
export type Eta = { seconds: number } | { reason: string };

/** The run as a whole. */
export interface OverallProgress {
  rows: number;
  estimatedRows: number;
  rowsInFlight: number;
  bytes: number;
  /** Over the last seconds while rows are copied, over the whole copying once it is over. */
  rowsPerSecond: number;
  bytesPerSecond: number;
  batches: { waiting: number; running: number; done: number; failed: number };
  /** Seconds in which batches that are done were copied; a pause of the run is none. */
  copySeconds: number;
  /** 0 to 1 over all phases; 1 only when the run has ended. */
  fraction: number;
  eta: Eta;
}

/** One moment of a run, read from the ledger in one transaction: what the terminal, `status`, the page and /metrics show. */
export interface ProgressSnapshot {
  /** The ledger server's clock. */
  at: Date;
  run: RunSummary;
  /** What the run waits for and why; null where it goes on. */
  waiting: string | null;
  /** What holds a run that is running back, or one of its flows, the oldest first. */
  holds: Hold[];
  overall: OverallProgress;
  flows: FlowProgress[];
  /** Indexes, keys and other objects that are brought back. */
  builds: TaskProgress[];
  checks: TaskProgress[];
  /** Batches that failed at least once and are not done. */
  troubled: TaskProgress[];
  attempts: RunningAttempt[];
  workers: LiveWorker[];
  /** The last ones, oldest first. */
  events: RunEvent[];
}
