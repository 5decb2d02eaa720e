import { buildJob } from '../jobs/build.ts';
import { copyJob } from '../jobs/copy.ts';
import { ring } from '../jobs/doorbell.ts';
import type { Queues } from '../jobs/queues.ts';
import { validateJob } from '../jobs/validate.ts';
import type { Queryable } from '../src/ledger/ledger.ts';
import { type OpenTask, readOpenTasks } from '../src/ledger/tasks.ts';

/** After this long a ring that led to nothing is held against the queue: it may have been emptied. */
const ringAgainMs = 3_000;

const jobs = { batch: copyJob, mend: copyJob, build: buildJob, check: validateJob };
const queueOf = (queues: Queues, kind: OpenTask['kind']) => queues[jobs[kind].queue];

/** When a run's scheduler last rang, by task, attempt and state. */
export type Rung = Map<string, number>;

const copies = ({ kind }: OpenTask): boolean => kind === 'batch' || kind === 'mend';

const keyOf = ({ id, attempt, state }: OpenTask): string => `${id}-${attempt}-${state}`;

/**
 * Rings for what waits and for attempts whose lease has run out, and rings again where a ring got lost. Of batches no
 * more than `concurrency` at once: a loader that is rung for one too many could only send it back.
 */
export async function ringDue(
  queues: Queues,
  ledger: Queryable,
  run: { id: string; concurrency: number | null },
  rung: Rung,
): Promise<void> {
  const now = Date.now();
  const keys = new Set<string>();
  const open = await readOpenTasks(ledger, run.id);
  const isFresh = (task: OpenTask) => now - (rung.get(keyOf(task)) ?? 0) < ringAgainMs;
  const busy = open.filter((task) => copies(task) && (task.state === 'running' || isFresh(task)));
  let room = (run.concurrency ?? Number.POSITIVE_INFINITY) - busy.length;
  for (const task of open) {
    const key = keyOf(task);
    // Not kept while it is held: it is rung for at once when the hold is lifted.
    if (task.held) continue;
    keys.add(key);
    if (task.state === 'running' && !task.lapsed) continue;
    if (task.earlyMs > 0 || isFresh(task)) continue;
    if (copies(task) && task.state === 'waiting' && room-- <= 0) continue;
    await ring(
      queueOf(queues, task.kind),
      jobs[task.kind].name,
      { run: run.id, task: task.id },
      task.attempt,
    );
    rung.set(key, now);
  }
  for (const key of rung.keys()) if (!keys.has(key)) rung.delete(key);
}
