import type { Refusal } from '../../ledger/quarantine.ts';
import type { UnitKey } from '../../plan/statements/key-units.ts';
import type { Range } from '../../plan/statements/select.ts';
import type { LoadContext } from '../load-range.ts';

export interface CornerContext extends LoadContext {
  /** Units that may be set aside; one more and the batch fails. */
  most: number;
}

/** What is set aside as one: a driving row where it stands, or, where a flow is cut by key, what has one key. */
export interface Unit {
  range: Range;
  /** Absent for a driving row: `range` says where it stands. */
  key?: UnitKey;
}

/** A unit that stands alone, and why it was refused. */
export interface CorneredUnit extends Unit {
  /** What tells it from the others of its batch: the ctid, or the key as JSON. */
  at: string;
  refusal: Refusal;
  /** What its transform threw, in full. Holds row values. */
  trace?: string | null;
  /** The driving row of the batch that was given its place under a unique key: where that is refused too, this one may pass. */
  behind?: string;
}
