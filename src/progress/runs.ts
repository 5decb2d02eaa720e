import { type ErrorPattern, readErrorPatterns } from '../ledger/error-patterns.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { type RecordedFinding, readFindings } from '../ledger/read-findings.ts';
import { listRuns, type RunSummary } from '../ledger/read-run.ts';
import { withSession } from '../pg/session.ts';

/** The runs of a target, newest first; at most `limit` of them (defaults to 50). */
export async function readRuns(ledger: Ledger, limit?: number): Promise<RunSummary[]> {
  return withSession(ledger.pool, (session) => listRuns(session, { limit }));
}

/** The findings of a run, in the order found, with row values: for the operator's terminal, never for a log. */
export async function readRunFindings(ledger: Ledger, runId: string): Promise<RecordedFinding[]> {
  return withSession(ledger.pool, (session) => readFindings(session, runId));
}

/** What went wrong in a run and how often, most frequent first; no row values. */
export async function readRunErrors(ledger: Ledger, runId: string): Promise<ErrorPattern[]> {
  return withSession(ledger.pool, (session) => readErrorPatterns(session, runId));
}
