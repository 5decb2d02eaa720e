import type { FailureClass } from '../pg/failure-class.ts';

/** What the ledger keeps of an error: no row values. */
export interface RecordedError {
  code: string;
  message: string;
  hint?: string;
  /** What was made of a failed attempt; unset for what ended a run otherwise. */
  class?: FailureClass;
}
