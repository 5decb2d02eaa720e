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

/** Rings for what waits and for attempts whose lease has run out, and rings again where a ring got lost. */
export async function ringDue(queues: Queues, ledger: Queryable, runId: string, rung: Rung): Promise<void> {
  const now = Date.now();
  const keys = new Set<string>();
  for (const task of await readOpenTasks(ledger, runId)) {
    const key = `${task.id}-${task.attempt}-${task.state}`;
    // Not kept while it is held: it is rung for at once when the hold is lifted.
    if (task.held) continue;
    keys.add(key);
    if (task.state === 'running' && !task.lapsed) continue;
    if (task.earlyMs > 0 || now - (rung.get(key) ?? 0) < ringAgainMs) continue;
    await ring(queueOf(queues, task.kind), jobs[task.kind].name, { run: runId, task: task.id }, task.attempt);
    rung.set(key, now);
  }
  for (const key of rung.keys()) if (!keys.has(key)) rung.delete(key);
}
