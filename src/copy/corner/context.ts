import type { Refusal } from '../../ledger/quarantine.ts';
import type { LoadContext } from '../load-range.ts';

export interface CornerContext extends LoadContext {
  /** Driving rows that may be set aside; one more and the batch fails. */
  most: number;
}

/** A driving row that stands alone, and why it was refused. */
export interface CorneredRow {
  tid: string;
  refusal: Refusal;
  /** What its transform threw, in full. Holds row values. */
  trace?: string | null;
  /** The driving row of the batch that was given its place under a unique key: where that is refused too, this one may pass. */
  behind?: string;
}
