/** Why a row of the sample would be refused. It may quote the row: for the operator's terminal only. */
export interface SampledRefusal {
  /** Who refuses it. */
  side: 'source' | 'transform' | 'target';
  /** SQLSTATE, or a code of rowfleet's own. */
  code: string;
  /** Target column. Absent where the row as a whole is refused. */
  column?: string;
  constraint?: string;
  message: string;
  /** Rows of other batches, or of earlier ones, decide: it need not come to this. */
  hint?: true;
}

export interface SampledValue {
  column: string;
  /** As COPY writes it; null is NULL. */
  value: string | null;
  /** Why it is not known before the run; the value is null then. */
  pending?: string;
}

/** A row as the target would get it. */
export interface SampledRow {
  values: SampledValue[];
  refusals: SampledRefusal[];
}

/** What a driving row, or its group, becomes in one target table. */
export interface SampledOutput {
  flow: string;
  /** Display name of the target table. */
  to: string;
  rows: SampledRow[];
  /** There are more rows than these. */
  more: boolean;
  /** Why there is none. */
  none?: string;
  /** Why none can be computed. */
  refusals: SampledRefusal[];
}

/** A driving row, and what becomes of it. */
export interface DrivingSample {
  /** Columns of the driving table that the flow uses. */
  before: SampledValue[];
  outputs: SampledOutput[];
}

/** Some driving rows of a flow, the same ones each time as long as the table is the same. */
export interface FlowSample {
  /** What the plan calls it. */
  flow: string;
  /** Display name of the driving table. */
  from: string;
  /** What the rows make of: one driving row each, or a group of them. */
  of: 'row' | 'group';
  rows: DrivingSample[];
  /** What is to be known about the sample. */
  remarks: string[];
}
