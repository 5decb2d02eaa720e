import type { FailureClass } from '../pg/failure-class.ts';
import type { ClaimedTask } from './claim.ts';
import type { Queryable } from './ledger.ts';
import type { Refusal } from './quarantine.ts';

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

/** The error patterns of a run, most frequent first. `failTask` counts attempts, `countRefusals` rows. */
export async function readErrorPatterns(on: Queryable, runId: string): Promise<ErrorPattern[]> {
  const { rows } = await on.query(
    `select class, code, nullif(constraint_name, '') as constraint, relation, nullif(side, '') as side,
            count::float8, first_at as "firstAt", last_at as "lastAt", message
       from rowfleet.error_pattern where run_id = $1 order by count desc, last_at desc`,
    [runId],
  );
  return rows;
}

/**
 * Counts the rows that were refused, in the transaction that sets them aside. The caller has locked the quarantine:
 * two that count the same patterns in another order would wait for each other.
 */
export async function countRefusals(on: Queryable, claim: ClaimedTask, refusals: Refusal[]): Promise<void> {
  await on.query(
    `insert into rowfleet.error_pattern as p (run_id, class, code, constraint_name, relation, side, message, count)
     select $1, 'row', code, constraint_name, $2, side, min(message), count(*)
       from unnest($3::text[], $4::text[], $5::text[], $6::text[]) as r (code, constraint_name, side, message)
      group by code, constraint_name, side
     on conflict (run_id, class, code, constraint_name, relation, side)
       do update set count = p.count + excluded.count, last_at = clock_timestamp(), message = excluded.message`,
    [
      ...[claim.runId, claim.relation],
      refusals.map(({ code }) => code),
      refusals.map(({ constraint }) => constraint ?? ''),
      refusals.map(({ side }) => side),
      refusals.map(({ message }) => message),
    ],
  );
}
