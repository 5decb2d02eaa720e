import type { Job } from 'bullmq';
import { type Context, Hono } from 'hono';
import { wakeScheduler } from '../../jobs/control.ts';
import type { Doorbell } from '../../jobs/doorbell.ts';
import type { Queues } from '../../jobs/queues.ts';
import { requeue } from '../../src/control/requeue.ts';
import { RowfleetError } from '../../src/errors.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';

/** Queues whose jobs are rings for a task. */
export const retriedQueues = ['copy', 'build', 'validate'] as const;

/** The two of Bull Board's requests that change something, below its own path. */
export const retryRoute = new RegExp(`^/api/queues/(${retriedQueues.join('|')})/([^/]+/retry|retry/failed)$`);

/** Jobs of a queue that are looked at when all that failed are to be retried; more are not kept. */
const mostJobs = 200;
const actor = 'rowfleet web';

const isDoorbell = (data: unknown): data is Doorbell => {
  const { run, task } = (data ?? {}) as Partial<Doorbell>;
  return [run, task].every((id) => typeof id === 'string' && /^[1-9]\d{0,17}$/.test(id));
};

const queueOf = (queues: Queues, c: Context) => {
  const name = retriedQueues.find((each) => each === c.req.param('queueName'));
  return name === undefined ? undefined : queues[name];
};

/** Gives all that failed of the runs of some jobs new tries; returns how many of the jobs that concerned. */
async function retryRuns(ledger: Ledger, queues: Queues, jobs: Job[]): Promise<number> {
  const bells = jobs.map(({ data }) => data).filter(isDoorbell);
  let retried = 0;
  for (const run of new Set(bells.map((bell) => bell.run))) {
    try {
      const tasks = await requeue(ledger, run, { actor });
      retried += bells.filter((bell) => bell.run === run && tasks.includes(bell.task)).length;
      await wakeScheduler(queues.control, run);
    } catch (error) {
      // Nothing of this run failed, or it has ended: its jobs are of the past.
      if (!(error instanceof RowfleetError && error.kind === 'usage')) throw error;
    }
  }
  return retried;
}

/**
 * What Bull Board's Retry buttons do: the same as `rowfleet requeue`, with its audit. The job itself is left alone: the
 * scheduler rings anew for what the ledger says is to be done.
 */
export function retryRoutes(ledger: Ledger, queues: Queues): Hono {
  const routes = new Hono();
  routes.put('/api/queues/:queueName/:jobId/retry', async (c) => {
    const job: Job | undefined = await queueOf(queues, c)?.getJob(c.req.param('jobId'));
    if (!isDoorbell(job?.data))
      return c.json({ error: 'Not retried', message: 'There is no such job.' }, 404);
    const { run, task } = job.data;
    try {
      await requeue(ledger, run, { actor, tasks: [task] });
    } catch (error) {
      if (!(error instanceof RowfleetError && error.kind === 'usage')) throw error;
      const hint = error.hint === undefined ? '' : ` (${error.hint})`;
      return c.json({ error: 'Not retried', message: `${error.message}${hint}` }, 409);
    }
    await wakeScheduler(queues.control, run);
    return c.body(null, 204);
  });
  routes.put('/api/queues/:queueName/retry/failed', async (c) => {
    const queue = queueOf(queues, c);
    const jobs: Job[] = queue === undefined ? [] : await queue.getJobs(['failed'], 0, mostJobs - 1);
    const retried = await retryRuns(ledger, queues, jobs);
    return c.json({ retried, skipped: jobs.length - retried });
  });
  return routes;
}
