import type { FailureClass } from '../pg/failure-class.ts';
import type { Queryable } from './ledger.ts';

/** What went wrong in a run in the same way, and how often. Holds no row values. */
export interface ErrorPattern {
  class: FailureClass;
  /** SQLSTATE or rowfleet's own code. */
  code: string;
  /** Null where no constraint was named. */
  constraint: string | null;
  /** Display name of the table that the attempts were about. */
  relation: string;
  /** Null where no server was asked. */
  side: 'source' | 'target' | null;
  count: number;
  firstAt: Date;
  lastAt: Date;
  /** The latest one's. */
  message: string;
}

/** The error patterns of a run, most frequent first. `failTask` is what counts them. */
export async function readErrorPatterns(on: Queryable, runId: string): Promise<ErrorPattern[]> {
  const { rows } = await on.query(
    `select class, code, nullif(constraint_name, '') as constraint, relation, nullif(side, '') as side,
            count::float8, first_at as "firstAt", last_at as "lastAt", message
       from rowfleet.error_pattern where run_id = $1 order by count desc, last_at desc`,
    [runId],
  );
  return rows;
}
