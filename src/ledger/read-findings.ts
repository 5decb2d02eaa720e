import type { Session } from '../pg/session.ts';
import type { FindingDetail } from '../validate/types.ts';

/** A finding as the ledger keeps it. `details` hold row values: for the operator's eyes only, never for a log. */
export interface RecordedFinding {
  id: string;
  check: string;
  relation: string;
  summary: string;
  details: FindingDetail[];
  foundAt: Date;
}

/** The findings of a run, in the order found; at most `limit` of them (defaults to 200). */
export async function readFindings(session: Session, runId: string, limit = 200): Promise<RecordedFinding[]> {
  const { rows } = await session.query(
    `select id, check_name, relation, summary, details, found_at from rowfleet.finding
     where run_id = $1 order by id limit $2`,
    [runId, limit],
  );
  return rows.map((row) => ({
    id: row.id,
    check: row.check_name,
    relation: row.relation,
    summary: row.summary,
    details: row.details,
    foundAt: row.found_at,
  }));
}
