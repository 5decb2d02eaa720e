import type { RunSummary } from '../ledger/read-run.ts';
import type { LiveWorker } from '../ledger/read-tasks.ts';
import type { Phase } from '../ledger/runs.ts';
import { type WorkerKind, waitsForKind } from '../ledger/workers.ts';

/** Who does the work of a phase, besides the scheduler. */
const needed: Partial<Record<Phase, WorkerKind>> = {
  copy: 'loader',
  index: 'loader',
  verify: 'validator',
  constrain: 'loader',
  finish: 'loader',
};

/**
 * What a run waits for and why: what the scheduler wrote down, or that nobody is there to do the work, which no
 * scheduler could write. Null where it goes on, or has ended.
 */
export function waitingFor(run: RunSummary, workers: LiveWorker[]): string | null {
  if (run.state !== 'running' && run.state !== 'cancelling') return null;
  const missing = (kind: WorkerKind) => !workers.some((worker) => worker.kind === kind);
  if (missing('scheduler')) return waitsForKind('scheduler');
  const kind = run.state === 'running' ? needed[run.phase] : undefined;
  if (kind !== undefined && missing(kind)) return run.waiting ?? waitsForKind(kind);
  // What the scheduler wrote down before one joined holds no more.
  const hasJoined = kind !== undefined && run.waiting === waitsForKind(kind);
  return hasJoined ? null : run.waiting;
}
