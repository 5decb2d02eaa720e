import type { ForeignKey, UniqueKey } from '../constraints/types.ts';
import type { RelationName } from '../pg/quote.ts';

/** One thing the validator looks at. Stored as JSON in the ledger's task; ids and names only. */
export type CheckSpec =
  /** Driving rows = filtered + unmatched + yielding; yielded = loaded. */
  | { check: 'accounting'; flow: string }
  /** Rows the source yields for a target table = rows it holds (less what it held before). */
  | { check: 'count'; relation: RelationName }
  /** Rows that were updated where they stand hold what the mapping says. */
  | { check: 'backfill'; flow: string }
  /** The target's rows are the source's rows. */
  | { check: 'digest'; relation: RelationName }
  | { check: 'orphans'; relation: RelationName; name: string; foreignKey: ForeignKey }
  | { check: 'duplicates'; relation: RelationName; name: string; uniqueKey: UniqueKey };

/** Something a check found wrong, ready for the ledger and for people. */
export interface Finding {
  /** `cancelled`: people cancelled a flow, so that rows of it are missing; it keeps no other table waiting. */
  check: CheckSpec['check'] | 'build' | 'cancelled' | 'join';
  relation: RelationName;
  /** One line without row values: what is wrong and how many. */
  summary: string;
  /** The first offending rows: key, column, both values. Only the ledger and the operator's terminal see them. */
  details: FindingDetail[];
}

export interface FindingDetail {
  /** Target key columns and values as text; the whole row's text where the table has no key. */
  key: Record<string, string | null>;
  /** Absent where the row is missing, surplus or doubled as a whole. */
  column?: string;
  problem: 'missing' | 'surplus' | 'different' | 'orphan' | 'duplicate' | 'multiplied' | 'unmatched';
  /** Value by the mapping, as text. */
  expected?: string | null;
  /** Value in the target, as text. */
  found?: string | null;
}

/** What a check returns: how many rows it looked at, and what it found. */
export interface CheckOutcome {
  rows: number;
  findings: Finding[];
  /** The numbers behind the check, for `status` and the report, e.g. `{driving: 100, filtered: 3}`. */
  evidence: Record<string, number>;
}
