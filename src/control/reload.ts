import { ownRows } from '../copy/derive/own-rows.ts';
import { usageError } from '../errors.ts';
import { readCancelledFlows, readOpenFlows, readRowsBefore } from '../ledger/flows.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { ReloadSpec } from '../ledger/reload.ts';
import {
  insertReload,
  type RequeueableTask,
  readRivalRuns,
  reopenTasks,
  withdrawReloads,
} from '../ledger/requeue.ts';
import { type Run, type RunState, setMended, setPhase, setRunState } from '../ledger/runs.ts';
import { display } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';
import { readTogether } from '../plan/statements/select.ts';
import { actOn, requireFlow } from './act.ts';
import { requireRange } from './reload-range.ts';
import { chooseTasks, goOn } from './requeue.ts';
import { verifyAnew } from './resume.ts';

/** What of a flow is to be loaded again. */
export type ReloadScope =
  /** Batches that are done, by id: what differs is updated, what is missing inserted, nothing is deleted. */
  | { batches: string[] }
  /** Driving rows by the first column of their key, `to` exclusive; null is open. */
  | { range: { from: string | null; to: string | null } }
  | 'whole';

/** What a person wants to be loaded again. */
export interface ReloadRequest {
  /** May be left out where the plan has one flow, and for batches. */
  flow?: string;
  scope: ReloadScope;
  /** Of a run that was verified: rows that the source does not yield may be deleted all the same. */
  deleteVanished?: boolean;
  actor: string;
}

const finished: readonly RunState[] = ['findings', 'quarantined', 'verified'];
const reloadable: readonly RunState[] = ['running', 'stopped', 'failed', ...finished];

function flowOf(run: Run, name: string | undefined): ResolvedFlow {
  const [only, ...others] = run.plan.flows;
  if (name === undefined && others.length > 0)
    throw usageError('FLOW_MISSING', `run ${run.id} has several flows`, 'name one of them with --flow');
  if (name === undefined) return only!;
  const leader = requireFlow(run, name);
  return run.plan.flows.find((flow) => flow.name === leader)!;
}

async function refuseCancelled(tx: Session, run: Run, flows: ResolvedFlow[]): Promise<void> {
  const cancelled = await readCancelledFlows(tx, run.id);
  const found = flows.find(({ name }) => cancelled.includes(name));
  if (found !== undefined)
    throw usageError(
      'FLOW_CANCELLED',
      `flow ${found.name} of run ${run.id} is cancelled`,
      `take it up again with: rowfleet resume ${run.id} --flow ${found.name}`,
    );
}

/** A reload of rows that the target keeps by now may be undone, or undo, what another run did to the same tables. */
async function refuseRivals(tx: Session, run: Run, flows: ResolvedFlow[]): Promise<void> {
  const targets = new Set(flows.map(({ target }) => display(target)));
  for (const rival of await readRivalRuns(tx, run.id)) {
    const shared = rival.targets.map(display).find((target) => targets.has(target));
    if (shared !== undefined)
      throw usageError(
        'RUN_OVERLAPS',
        `run ${rival.id} of plan "${rival.name}" (${rival.state}) fills ${shared} too`,
        'finish or cancel that one first; what a later run has verified is reloaded by that run',
      );
  }
}

/** Whether the copy was complete before, so that all of the target can be held against the source again. */
async function requireState(tx: Session, run: Run): Promise<boolean> {
  if (run.kind !== 'migrate')
    throw usageError(
      'NOTHING_LOADED',
      `run ${run.id} only validates: it has loaded nothing`,
      'name a migration',
    );
  if (run.phase === 'preflight' || run.phase === 'prepare')
    throw usageError(
      'NOTHING_LOADED',
      `run ${run.id} has not loaded anything yet`,
      `see \`rowfleet status ${run.id}\``,
    );
  if (run.state === 'running' && run.phase !== 'copy')
    throw usageError(
      'RUN_BUSY',
      `run ${run.id} is past its copy, in phase ${run.phase}: nothing can be loaded again now`,
      'wait until it has ended, then try again',
    );
  return run.phase !== 'copy' || (await readOpenFlows(tx, run.id)).length === 0;
}

/** Throws where a task is no batch of the first copy that can be loaded again now. */
function refuseTask({ id, kind, flow, state, loaded, scope, attempt }: RequeueableTask): void {
  if (state === 'running')
    throw usageError(
      'TASK_RUNNING',
      `${kind} ${id} is running, in attempt ${attempt}`,
      'wait until that has ended',
    );
  if (kind !== 'batch' || state === 'cancelled' || !loaded)
    throw usageError(
      'TASK_NOT_LOADED',
      `${kind} ${id} has not been loaded, so it cannot be loaded again`,
      'leave --reload away',
    );
  // It deletes too, and by what the run is now that may be refused.
  if (scope !== null)
    throw usageError(
      'TASK_RELOADED',
      `batch ${id} loaded ${scope === 'whole' ? 'all' : 'a range'} of flow ${flow} again, once`,
      `ask for that anew: --flow ${flow} --reload${scope === 'whole' ? '' : ', with --range'}`,
    );
}

/** Marks batches that are done. Throws TASK_NOT_LOADED, TASK_RELOADED, TASK_RUNNING. */
async function reloadBatches(tx: Session, run: Run, ids: string[], flow?: string): Promise<ResolvedFlow[]> {
  const tasks = await chooseTasks(tx, run, { tasks: ids, ...(flow === undefined ? {} : { flow }) });
  const before = await readRowsBefore(tx, run.id);
  const flows = new Set<ResolvedFlow>();
  for (const task of tasks) {
    refuseTask(task);
    const of = run.plan.flows.find(({ name }) => name === task.flow)!;
    for (const flow of readTogether(run.plan, of)) {
      ownRows(run.plan, flow, 'batch', before[display(flow.target)] ?? 0);
      flows.add(flow);
    }
  }
  await reopenTasks(tx, ids, { reload: true });
  return [...flows];
}

/** Writes the batch of a scope. Throws RELOAD_REFUSED, RELOAD_DELETES, COPY_NOT_DONE. */
async function reloadScope(
  tx: Session,
  run: Run,
  flow: ResolvedFlow,
  spec: ReloadSpec,
  { complete, deleteVanished }: { complete: boolean; deleteVanished: boolean },
): Promise<string> {
  const before = await readRowsBefore(tx, run.id);
  for (const each of readTogether(run.plan, flow)) {
    const { lineage } = ownRows(run.plan, each, spec.scope, before[display(each.target)] ?? 0);
    if (spec.scope === 'range')
      await requireRange(tx, spec, { name: flow.drivingKey[0]!, type: lineage[0]!.sourceType });
  }
  if (!complete)
    throw usageError(
      'COPY_NOT_DONE',
      `run ${run.id} still copies: only batches that are done can be loaded again`,
      'name them with --batch, or wait for the end of the copy',
    );
  if (run.verifiedAt !== null && !deleteVanished)
    throw usageError(
      'RELOAD_DELETES',
      `run ${run.id} was verified, and others may have written to ${display(flow.target)} since: what the source does not yield would be deleted`,
      'add --delete-vanished if that is what you want; a reload of batches (--batch) deletes nothing',
    );
  if (spec.scope === 'whole') await withdrawReloads(tx, run.id, flow.name);
  return insertReload(tx, run.id, { name: flow.name, target: display(flow.target) }, spec);
}

/** Lets the run copy again, and prove everything anew behind that. */
async function reopenRun(tx: Session, run: Run, complete: boolean): Promise<void> {
  await setRunState(tx, run.id, finished, 'running');
  await goOn(tx, run);
  if (!complete) return;
  // The numbers of the loaders need not be those of the tables any more.
  await setMended(tx, run.id);
  await verifyAnew(tx, run);
  await setPhase(tx, run.id, 'copy');
}

const described = (flow: ResolvedFlow | undefined, scope: ReloadScope): string => {
  if (scope === 'whole') return `all of flow ${flow!.name}`;
  if ('batches' in scope)
    return `${scope.batches.length === 1 ? 'batch' : 'batches'} ${scope.batches.join(', ')}`;
  const { from, to } = scope.range;
  return `flow ${flow!.name} from ${from ?? 'its beginning'} to ${to ?? 'its end'}`;
};

/**
 * Asks for what was loaded to be loaded again, each scope in one transaction; the run goes back to its copy, and all that
 * it had proven is proven anew. Its constraints stay as they are. Returns the ids of the batches. Throws RELOAD_REFUSED,
 * RANGE_INVALID, RELOAD_DELETES, COPY_NOT_DONE, NOTHING_LOADED, RUN_BUSY, RUN_OVERLAPS, RUN_STATE, FLOW_*, TASK_*.
 */
export async function reload(ledger: Ledger, runId: string, request: ReloadRequest): Promise<string[]> {
  const { scope, actor, deleteVanished = false } = request;
  return actOn(
    ledger,
    runId,
    { actor, allowed: reloadable, deed: 'loaded again', alone: true },
    async (tx, run) => {
      const complete = await requireState(tx, run);
      const batches = typeof scope === 'object' && 'batches' in scope ? scope.batches : undefined;
      const flow = batches === undefined ? flowOf(run, request.flow) : undefined;
      const flows =
        batches === undefined
          ? readTogether(run.plan, flow!)
          : await reloadBatches(tx, run, batches, request.flow);
      await refuseCancelled(tx, run, flows);
      await refuseRivals(tx, run, flows);
      const spec: ReloadSpec =
        typeof scope === 'object' && 'range' in scope
          ? { scope: 'range', ...scope.range }
          : { scope: 'whole' };
      const ids = batches ?? [await reloadScope(tx, run, flow!, spec, { complete, deleteVanished })];
      await reopenRun(tx, run, complete);
      return { changed: `asked for ${described(flow, scope)} to be loaded again`, result: ids };
    },
  );
}

/** Gives up the reloads of a run that are not done; a failed run goes on. Returns how many there were. Throws NO_RELOAD. */
export async function withdraw(ledger: Ledger, runId: string, actor: string, flow?: string): Promise<number> {
  const allowed = ['running', 'stopped', 'failed'] as const;
  return actOn(ledger, runId, { actor, allowed, deed: 'kept from loading again' }, async (tx, run) => {
    const leader = flow === undefined ? undefined : requireFlow(run, flow);
    const n = await withdrawReloads(tx, run.id, leader);
    if (n === 0)
      throw usageError('NO_RELOAD', `run ${run.id} has no reload that is not done`, 'see `rowfleet status`');
    await goOn(tx, run);
    return { changed: `gave up ${n} reloads`, result: n };
  });
}
