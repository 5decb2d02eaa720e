import { display } from '../pg/quote.ts';
import type { Finding } from '../validate/types.ts';
import type { Queryable } from './ledger.ts';

/** Records what a check or a build found; belongs in the transaction that finishes the task. */
export async function insertFindings(
  on: Queryable,
  runId: string,
  taskId: string,
  findings: Finding[],
): Promise<void> {
  for (const finding of findings) {
    await on.query(
      `insert into rowfleet.finding (run_id, task_id, check_name, relation, summary, details)
       values ($1, $2, $3, $4, $5, $6)`,
      [
        runId,
        taskId,
        finding.check,
        display(finding.relation),
        finding.summary,
        JSON.stringify(finding.details),
      ],
    );
  }
}

/** How many findings a run has, besides those of the check `except`. */
export async function countFindings(
  on: Queryable,
  runId: string,
  except?: Finding['check'],
): Promise<number> {
  const { rows } = await on.query(
    'select count(*)::int as n from rowfleet.finding where run_id = $1 and check_name is distinct from $2',
    [runId, except ?? null],
  );
  return rows[0].n;
}

/** The tables that a run's findings are about, by display name. */
export async function readFoundRelations(on: Queryable, runId: string): Promise<string[]> {
  const { rows } = await on.query(
    'select distinct relation from rowfleet.finding where run_id = $1 order by 1',
    [runId],
  );
  return rows.map(({ relation }) => relation);
}

/** Forgets a run's findings, before its checks are made anew. */
export async function deleteFindings(on: Queryable, runId: string): Promise<void> {
  await on.query('delete from rowfleet.finding where run_id = $1', [runId]);
}
