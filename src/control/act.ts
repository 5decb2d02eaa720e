import { usageError } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { lockRun } from '../ledger/lock-run.ts';
import { lockRuns, type Run, type RunState, recordEvent } from '../ledger/runs.ts';
import { nearest } from '../nearest.ts';
import { type Session, withSession } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import { leaderOf } from '../plan/statements/select.ts';

/** What a person asks for. */
export interface Request {
  /** Who asks, for the audit. */
  actor: string;
  /** States in which a run can be asked for it. */
  allowed: readonly RunState[];
  /** What cannot be done in another state, as in "cannot be paused". */
  deed: string;
  /** Whether others are kept from starting or resuming runs meanwhile. Defaults to false. */
  alone?: boolean;
}

/**
 * Does to a run what a person asked for, in one transaction: authorise, act, and the audit where `act` tells in words
 * what it changed. Nobody else changes the run meanwhile. Throws RUN_STATE.
 */
export function actOn<T>(
  ledger: Ledger,
  runId: string,
  { actor, allowed, deed, alone = false }: Request,
  act: (tx: Session, run: Run) => Promise<{ changed: string | null; result: T }>,
): Promise<T> {
  return withSession(ledger.pool, (session) =>
    inTransaction(session, 'read committed', async () => {
      if (alone) await lockRuns(session);
      const run = await lockRun(session, runId);
      if (!allowed.includes(run.state)) {
        const when = allowed.join(' or ');
        throw usageError(
          'RUN_STATE',
          `run ${run.id} is ${run.state} and cannot be ${deed}`,
          `that is for a run that is ${when}; see \`rowfleet status ${run.id}\``,
        );
      }
      const { changed, result } = await act(session, run);
      if (changed !== null) await recordEvent(session, run.id, actor, changed);
      return result;
    }),
  );
}

/**
 * The flow that has the batches of the flow of that name: itself, or the first of those it is read with. Throws
 * FLOW_UNKNOWN unless the run has one of that name.
 */
export function requireFlow(run: Run, flow: string): string {
  const { flows } = run.plan;
  const found =
    flows.find(({ name }) => name === flow) ?? flows.find(({ readWith }) => readWith?.flow === flow);
  if (found !== undefined) return leaderOf(found);
  const names = flows.map(({ name }) => name);
  const near = nearest(flow, names);
  throw usageError(
    'FLOW_UNKNOWN',
    `run ${run.id} has no flow "${flow}"`,
    near === undefined ? `its flows: ${names.join(', ')}` : `did you mean ${near}?`,
  );
}
