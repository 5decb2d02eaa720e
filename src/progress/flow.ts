import type { FlowFigures } from '../ledger/read-flows.ts';
import type { RunState } from '../ledger/runs.ts';
import type { FlowProgress, FlowState } from './types.ts';

/** Seconds over which a rate is taken. */
export const rateWindowSeconds = 10;

function flowState(figures: FlowFigures, runState: RunState): FlowState {
  const { batches } = figures;
  const open = batches.waiting + batches.running;
  if (batches.failed > 0) return 'failed';
  if (figures.cutDone && open === 0) return 'done';
  if (runState === 'cancelled' || figures.cancelled) return 'cancelled';
  return batches.running + batches.done > 0 ? 'copying' : 'waiting';
}

/**
 * Rows expected in all. The catalog's estimate counts driving rows, which a `where` or a join turns into fewer or
 * more; so as soon as batches are done, their rows tell what the rest of the blocks will yield.
 */
function expectedRows(figures: FlowFigures, state: FlowState): number {
  const { rowsIn, blocks, blocksDone } = figures;
  if (state === 'done' || figures.cancelled) return rowsIn;
  if (blocksDone > 0) return Math.round((rowsIn / blocksDone) * Math.max(blocks, blocksDone));
  return Math.max(figures.estimatedRows, rowsIn);
}

/** How much of the flow is copied, by blocks where it has them: rows may be spread unevenly over them. */
function fractionOf(figures: FlowFigures, state: FlowState, rowsInFlight: number, expected: number): number {
  if (state === 'done') return 1;
  if (expected === 0) return 0;
  const committed = figures.blocks > 0 ? figures.blocksDone / figures.blocks : figures.rowsIn / expected;
  return Math.min(0.99, committed + rowsInFlight / expected);
}

/** Turns what the ledger counted into what people are shown. */
export function flowProgress(figures: FlowFigures, runState: RunState): FlowProgress {
  const state = flowState(figures, runState);
  const estimatedRows = expectedRows(figures, state);
  const { rowsIn, bytes, bytesInFlight } = figures;
  // What is loaded again is counted already.
  const rowsInFlight = Math.min(
    bytes > 0 ? Math.round((rowsIn / bytes) * bytesInFlight) : 0,
    Math.max(0, estimatedRows - rowsIn),
  );
  const age = figures.startedSecondsAgo ?? 0;
  const copySeconds = Math.max(0.001, figures.copySeconds);
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
    follows: figures.follows,
    waitsFor: state === 'waiting' ? figures.waitsFor : [],
    fraction: fractionOf(figures, state, rowsInFlight, estimatedRows),
  };
}
