import type { ClaimedTask } from '../src/ledger/claim.ts';
import type { NextTry, TaskHistory } from '../src/ledger/fail-task.ts';
import type { BatchSpec } from '../src/ledger/tasks.ts';
import type { FailureClass } from '../src/pg/failure-class.ts';
import { sqlStates } from '../src/pg/sql-states.ts';

/** Exponential back-off from half a second to half a minute, with up to half of it as jitter. */
export function retryDelayMs(times: number): number {
  const base = Math.min(500 * 2 ** times, 30_000);
  return base / 2 + Math.random() * (base / 2);
}

/** What a retry is decided by. */
export interface FailedAttempt {
  class: FailureClass;
  /** SQLSTATE or rowfleet's own code. */
  code: string;
  claim: Pick<ClaimedTask, 'taskKind' | 'mode' | 'failures' | 'spec'>;
  history: TaskHistory;
  maxRetries: number;
}

/** What is next, and for a batch that was too much, of how many blocks. */
export interface Decision extends NextTry {
  tooManyBlocks?: number;
  /** Why a batch that was too much is not halved. */
  note?: string;
}

/** Met another's lock, the server's own fault, or what ends its processes: less of it may pass, but the size is not what failed. */
const notOfSize = new Set([
  sqlStates.lockNotAvailable,
  sqlStates.deadlockDetected,
  'LOCK_NOT_AVAILABLE',
  'WORKER_LOST',
  sqlStates.internalError,
]);

/** The last block of a range, also of an open-ended one. Null where blocks do not count: it reads all of a leaf. */
function endOf({ fromBlock, toBlock }: BatchSpec, leafBlocks: number | null): number | null {
  if (toBlock !== null) return toBlock;
  return leafBlocks === null || leafBlocks <= fromBlock ? null : leafBlocks;
}

function isRange(spec: unknown): spec is BatchSpec {
  return typeof (spec as Partial<BatchSpec> | null)?.fromBlock === 'number';
}

function counted({ claim, maxRetries }: FailedAttempt): NextTry {
  const isLast = claim.failures >= maxRetries;
  return { waitMs: isLast ? null : retryDelayMs(claim.failures), counts: true };
}

/** Halves a batch that was too much. Its size makes progress by that, so only what was not of size counts. */
function shrink(failed: FailedAttempt): Decision {
  const { claim, history, code } = failed;
  if (claim.taskKind !== 'batch') return counted(failed);
  if (!isRange(claim.spec)) return { ...counted(failed), note: 'it has no range to halve' };
  const spec = claim.spec;
  const end = endOf(spec, history.leafBlocks);
  if (end === null) return { ...counted(failed), note: 'it reads a whole table, which cannot be halved' };
  const blocks = end - spec.fromBlock;
  if (blocks < 2) return { ...counted(failed), note: 'it is a single block, which cannot be halved' };
  const middle = spec.fromBlock + Math.floor(blocks / 2);
  const halves: [BatchSpec, BatchSpec] = [
    { ...spec, toBlock: middle },
    { ...spec, fromBlock: middle },
  ];
  if (!notOfSize.has(code)) return { waitMs: 0, counts: false, halves, tooManyBlocks: blocks };
  const next = counted(failed);
  return next.waitMs === null ? next : { ...next, halves, tooManyBlocks: blocks };
}

/** Decides what becomes of a task whose attempt failed. */
export function decide(failed: FailedAttempt): Decision {
  switch (failed.class) {
    case 'wait':
      return { waitMs: retryDelayMs(failed.history.waits), counts: false };
    case 'shrink':
      return shrink(failed);
    case 'row':
      // A row that is referred to may come with another reload.
      if (failed.claim.mode === 'reload' && failed.code === sqlStates.foreignKeyViolation)
        return counted(failed);
      // Only a batch has rows to set aside, and cornering them is tried once.
      return failed.claim.taskKind === 'batch' && failed.claim.mode === 'copy'
        ? { waitMs: 0, counts: false, mode: 'corner' }
        : { waitMs: null, counts: true };
    case 'give up':
      return { waitMs: null, counts: true };
  }
}
