import type { FlowFigures } from '../ledger/read-flows.ts';
import type { RunState } from '../ledger/read-run.ts';
import type { FlowProgress, FlowState } from './types.ts';

/** Seconds over which a rate is taken. */
export const rateWindowSeconds = 10;

function flowState(figures: FlowFigures, runState: RunState): FlowState {
  const { batches } = figures;
  const open = batches.waiting + batches.running;
  if (batches.failed > 0) return 'failed';
  if (figures.cutDone && open === 0) return 'done';
  if (runState === 'cancelled') return 'cancelled';
  return batches.running + batches.done > 0 ? 'copying' : 'waiting';
}

/**
 * Rows expected in all. The catalog's estimate counts driving rows, which a `where` or a join turns into fewer or
 * more; so once every range is cut, the batches that are done tell what the open ones will hold.
 */
function expectedRows(figures: FlowFigures, state: FlowState): number {
  const { batches, rowsIn } = figures;
  if (state === 'done') return rowsIn;
  const open = batches.waiting + batches.running + batches.failed;
  if (figures.cutDone && batches.done > 0) return Math.round(rowsIn + (rowsIn / batches.done) * open);
  return Math.max(figures.estimatedRows, rowsIn);
}

/** Turns what the ledger counted into what people are shown. */
export function flowProgress(figures: FlowFigures, runState: RunState): FlowProgress {
  const state = flowState(figures, runState);
  const estimatedRows = expectedRows(figures, state);
  const { rowsIn, bytes, bytesInFlight } = figures;
  const rowsInFlight = bytes > 0 ? Math.round((rowsIn / bytes) * bytesInFlight) : 0;
  const age = figures.startedSecondsAgo ?? 0;
  const copySeconds = Math.max(0.001, age - figures.endedSecondsAgo);
  const window = Math.min(rateWindowSeconds, Math.max(0.5, age));
  const done = state === 'done';
  const recentBytes = figures.recentBytes + figures.recentBytesInFlight;
  const recentRows = figures.recentRows + (bytes > 0 ? (rowsIn / bytes) * figures.recentBytesInFlight : 0);
  const { waiting, running, failed } = figures.batches;
  return {
    name: figures.name,
    target: figures.target,
    state,
    estimatedRows,
    rows: rowsIn,
    rowsInFlight,
    bytes,
    bytesInFlight,
    rowsPerSecond: done ? rowsIn / copySeconds : recentRows / window,
    bytesPerSecond: done ? bytes / copySeconds : recentBytes / window,
    batches: { waiting, running, done: figures.batches.done, failed },
    fraction: done ? 1 : Math.min(0.99, estimatedRows > 0 ? (rowsIn + rowsInFlight) / estimatedRows : 0),
  };
}
