import { type Hold, liftHold, liftPauses, putHold, readHolds } from '../ledger/holds.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Run } from '../ledger/runs.ts';
import { actOn, requireFlow } from './act.ts';

/** What a person wants to be paused. */
export interface PauseRequest {
  /** One flow; all of the run by default. */
  flow?: string;
  /** Why, in the person's words. */
  reason?: string;
  actor: string;
}

/**
 * Pauses a run or one of its flows: what is under way goes on to its end, nothing more is begun. Returns the pause that
 * was there already; null where this one is new. Throws RUN_STATE unless the run is running, and FLOW_UNKNOWN.
 */
export async function pauseRun(ledger: Ledger, run: Run, request: PauseRequest): Promise<Hold | null> {
  const { flow, reason, actor } = request;
  const why = reason === undefined ? '' : `: ${reason}`;
  return actOn(ledger, run.id, { actor, allowed: ['running'], deed: 'paused' }, async (tx, current) => {
    if (flow !== undefined) requireFlow(current, flow);
    const holds = await readHolds(tx, run.id);
    const there = holds.find((hold) => hold.kind === 'pause' && hold.flow === (flow ?? null));
    if (there !== undefined) return { changed: null, result: there };
    const scope = flow === undefined ? { runId: run.id } : { runId: run.id, flow };
    await putHold(tx, { ...scope, kind: 'pause', cause: actor, reason: `paused by ${actor}${why}` });
    return { changed: `paused${flow === undefined ? '' : ` flow ${flow}`}${why}`, result: null };
  });
}

/**
 * Lifts the pause of one flow, or every pause of the run; tells whether there was one. What else holds the run back
 * (the health of a server, failures) stays. Throws RUN_STATE where the run has ended, and FLOW_UNKNOWN.
 */
export async function liftPause(
  ledger: Ledger,
  run: Run,
  request: Pick<PauseRequest, 'flow' | 'actor'>,
): Promise<boolean> {
  const { flow, actor } = request;
  const allowed = ['running', 'stopped', 'failed', 'findings', 'quarantined'] as const;
  return actOn(ledger, run.id, { actor, allowed, deed: 'resumed' }, async (tx, current) => {
    if (flow !== undefined) requireFlow(current, flow);
    const lifted =
      flow === undefined ? await liftPauses(tx, run.id) : await liftHold(tx, run.id, { flow, kind: 'pause' });
    const what = flow === undefined ? 'the pause' : `the pause of flow ${flow}`;
    return { changed: lifted === 0 ? null : `lifted ${what}`, result: lifted > 0 };
  });
}
