import { usageError } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { lockTasks, type RequeueableTask, reopenTasks } from '../ledger/requeue.ts';
import { type Run, setRunState } from '../ledger/runs.ts';
import { readFailedTasks } from '../ledger/tasks.ts';
import type { Session } from '../pg/session.ts';
import { actOn, requireFlow } from './act.ts';

/** What a person wants to be tried again. */
export interface RequeueRequest {
  /** Ids of batches (of builds and checks too): what failed, or waits for its next try. All that failed by default. */
  tasks?: string[];
  /** Of one flow only. */
  flow?: string;
  actor: string;
}

/** Says why one task cannot be tried again now; undefined when it can. */
function refusal({ id, kind, state, attempt, early }: RequeueableTask): Error | undefined {
  if (state === 'failed' || (state === 'waiting' && early)) return undefined;
  const what = `${kind} ${id}`;
  switch (state) {
    case 'waiting':
      return usageError(
        'TASK_WAITING',
        `${what} waits to be taken already`,
        'see what holds it back with `rowfleet status`',
      );
    case 'running':
      return usageError(
        'TASK_RUNNING',
        `${what} is running, in attempt ${attempt}`,
        'wait until that has ended',
      );
    case 'cancelled':
      return usageError(
        'TASK_CANCELLED',
        `${what} was cancelled with its flow`,
        'take it up again with `rowfleet resume --flow`',
      );
    case 'done':
      return kind === 'batch'
        ? usageError('TASK_DONE', `${what} is done`, 'add --reload to load what it covers again')
        : usageError(
            'TASK_DONE',
            `${what} is done`,
            '`rowfleet resume` makes the checks of a run that has ended again',
          );
  }
}

/** Finds the tasks that a request names. Throws TASK_UNKNOWN, or NOTHING_FAILED. */
export async function chooseTasks(
  tx: Session,
  run: Run,
  { tasks, flow: named }: Pick<RequeueRequest, 'tasks' | 'flow'>,
): Promise<RequeueableTask[]> {
  const flow = named === undefined ? undefined : requireFlow(run, named);
  const scope = { ...(flow === undefined ? {} : { flow }), ...(tasks === undefined ? {} : { ids: tasks }) };
  const found = await lockTasks(tx, run.id, scope);
  const of = flow === undefined ? `run ${run.id}` : `flow ${flow} of run ${run.id}`;
  const missing = tasks?.find((id) => !found.some((task) => task.id === id));
  if (missing !== undefined)
    throw usageError(
      'TASK_UNKNOWN',
      `${of} has no batch ${missing}`,
      `see \`rowfleet status ${run.id} --json\``,
    );
  if (found.length === 0)
    throw usageError('NOTHING_FAILED', `nothing of ${of} has failed`, `see \`rowfleet status ${run.id}\``);
  return found;
}

/** Lets a failed run go on, which it can only without any failed task. Throws OTHERS_FAILED. */
export async function goOn(tx: Session, run: Run): Promise<void> {
  const [other] = await readFailedTasks(tx, run.id);
  if (other !== undefined && run.state === 'failed')
    throw usageError(
      'OTHERS_FAILED',
      `${other.kind} ${other.id} failed too, and run ${run.id} cannot go on with it`,
      `name it as well, or give all that failed new tries: rowfleet requeue --run ${run.id} --failed`,
    );
  await setRunState(tx, run.id, ['failed'], 'running');
}

/**
 * Gives tasks that failed, or that wait for their next try, a new set of tries at once; a failed run goes on. Returns
 * their ids. Throws TASK_* and NOTHING_FAILED where there is nothing to try, OTHERS_FAILED, FLOW_UNKNOWN, RUN_STATE.
 */
export async function requeue(ledger: Ledger, runId: string, request: RequeueRequest): Promise<string[]> {
  const { actor, flow } = request;
  const allowed = ['running', 'stopped', 'failed'] as const;
  return actOn(ledger, runId, { actor, allowed, deed: 'requeued' }, async (tx, run) => {
    const tasks = await chooseTasks(tx, run, request);
    for (const task of tasks) {
      const refused = refusal(task);
      if (refused !== undefined) throw refused;
    }
    const ids = tasks.map(({ id }) => id);
    await reopenTasks(tx, ids);
    await goOn(tx, run);
    const what = request.tasks === undefined ? `all ${ids.length} that failed` : ids.join(', ');
    const of = flow === undefined ? '' : ` of flow ${flow}`;
    return { changed: `requeued ${what}${of}`, result: ids };
  });
}
