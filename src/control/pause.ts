import { usageError } from '../errors.ts';
import { readCancelledFlows, readRowsBefore, takeUpFlow } from '../ledger/flows.ts';
import { type Hold, liftHold, liftPauses, putHold, readHolds } from '../ledger/holds.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { readObjects } from '../ledger/objects.ts';
import type { Run } from '../ledger/runs.ts';
import { display } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { restarting } from '../plan/restarting.ts';
import { leaderOf } from '../plan/statements/select.ts';
import { heldBefore, startAgain } from '../run/start-again.ts';
import { actOn, requireFlow } from './act.ts';
import { verifyAnew } from './resume.ts';

const unfinished = ['running', 'stopped', 'failed', 'findings', 'quarantined'] as const;

/** A hold would keep its open batches from coming to their end. */
async function refuseCancelled(tx: Session, runId: string, flow: string): Promise<void> {
  if (!(await readCancelledFlows(tx, runId)).includes(flow)) return;
  throw usageError(
    'FLOW_CANCELLED',
    `flow ${flow} of run ${runId} is cancelled: nothing of it goes on that could be paused`,
    `take it up again with: rowfleet resume ${runId} --flow ${flow}`,
  );
}

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
 * was there already; null where this one is new. Throws RUN_STATE unless the run is running, FLOW_UNKNOWN and FLOW_CANCELLED.
 */
export async function pauseRun(ledger: Ledger, run: Run, request: PauseRequest): Promise<Hold | null> {
  const { reason, actor } = request;
  const why = reason === undefined ? '' : `: ${reason}`;
  return actOn(ledger, run.id, { actor, allowed: ['running'], deed: 'paused' }, async (tx, current) => {
    const flow = request.flow === undefined ? undefined : requireFlow(current, request.flow);
    if (flow !== undefined) await refuseCancelled(tx, run.id, flow);
    const holds = await readHolds(tx, run.id);
    const there = holds.find((hold) => hold.kind === 'pause' && hold.flow === (flow ?? null));
    if (there !== undefined) return { changed: null, result: there };
    const scope = flow === undefined ? { runId: run.id } : { runId: run.id, flow };
    await putHold(tx, { ...scope, kind: 'pause', cause: actor, reason: `paused by ${actor}${why}` });
    return { changed: `paused${flow === undefined ? '' : ` flow ${flow}`}${why}`, result: null };
  });
}

/** Lifts every pause of a run; tells whether there was one. What else holds it back stays. Throws RUN_STATE where it has ended. */
export async function liftPause(ledger: Ledger, run: Run, actor: string): Promise<boolean> {
  return actOn(ledger, run.id, { actor, allowed: unfinished, deed: 'resumed' }, async (tx) => {
    const lifted = (await liftPauses(tx, run.id)) > 0;
    return { changed: lifted ? 'lifted the pause' : null, result: lifted };
  });
}

/**
 * Where a flow that is taken up again belongs to a table whose rows are fused already: that begins anew, with all that hangs on it.
 * Returns the names of what does. Throws ROWS_BEFORE where the table held rows before the run.
 */
async function fuseAnew(tx: Session, { id, plan }: Run, leader: string): Promise<string[]> {
  const own = plan.flows.filter((flow) => leaderOf(flow) === leader && flow.fusion !== undefined);
  const fused = (await readObjects(tx, id)).filter(
    ({ captured, phase, state }) => captured.kind === 'fusion' && phase === 'index' && state === 'back',
  );
  if (!own.some(({ target }) => fused.some(({ relation }) => relation === display(target)))) return [];
  const again = restarting(plan, [leader]);
  const before = await readRowsBefore(tx, id);
  const held = heldBefore(again, before);
  if (held !== undefined)
    throw usageError(
      'ROWS_BEFORE',
      `${display(held.target)} is fused already, and held rows before run ${id}, so it cannot be emptied and fused anew`,
      `cancel the run: rowfleet cancel ${id}; then start anew`,
    );
  await startAgain(tx, id, plan, again);
  return again.map(({ name }) => name);
}

/**
 * Lets one flow go on: lifts its pause, or takes it up again where it was cancelled, and with it the run's checks. Tells
 * what was changed, in words; null for nothing. Throws RUN_STATE where the run has ended, FLOW_UNKNOWN, and
 * FLOW_TOO_LATE where it was cancelled and the run is past its copy, ROWS_BEFORE.
 */
export async function resumeFlow(
  ledger: Ledger,
  run: Run,
  { flow: named, actor }: { flow: string; actor: string },
): Promise<string | null> {
  return actOn(ledger, run.id, { actor, allowed: unfinished, deed: 'resumed' }, async (tx, current) => {
    const flow = requireFlow(current, named);
    if ((await liftHold(tx, run.id, { flow, kind: 'pause' })) > 0) {
      const changed = `lifted the pause of flow ${flow}`;
      return { changed, result: changed };
    }
    if (!(await takeUpFlow(tx, run.id, flow))) return { changed: null, result: null };
    const again = await fuseAnew(tx, current, flow);
    if (!['prepare', 'copy'].includes(current.phase)) {
      if (current.state === 'running') {
        throw usageError(
          'FLOW_TOO_LATE',
          `run ${run.id} is past its copy, in phase ${current.phase}: flow ${flow} cannot be taken up now`,
          'take it up when the run has ended, or stop it before',
        );
      }
      if (current.state === 'stopped' || current.state === 'failed') await verifyAnew(tx, current);
    }
    const changed = `took flow ${flow} up again${again.length > 1 ? `; with it ${again.join(', ')} start anew` : ''}`;
    return { changed, result: changed };
  });
}
