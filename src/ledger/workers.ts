import { hostname } from 'node:os';
import { leaseMs } from './claim.ts';
import { isOfCancelledFlow } from './flows.ts';
import type { Queryable } from './ledger.ts';

export type WorkerKind = 'scheduler' | 'loader' | 'validator';

/** What a run waits for where no process of a kind is there to do the work. */
export const waitsForKind = (kind: WorkerKind): string =>
  `for a ${kind} to join: none is running (\`rowfleet ${kind}\` starts one)`;

/** Writes a process of the fleet into the ledger; returns its id. */
export async function insertWorker(on: Queryable, kind: WorkerKind, concurrency: number): Promise<string> {
  const id = `${kind}-${hostname()}-${process.pid}-${Date.now().toString(36)}`;
  await on.query(
    'insert into rowfleet.worker (id, kind, host, pid, concurrency) values ($1, $2, $3, $4, $5)',
    [id, kind, hostname(), process.pid, concurrency],
  );
  return id;
}

/** An attempt as its worker renews it. */
export interface LiveAttempt {
  taskId: string;
  number: number;
  bytes: number;
  /** What it waits for; null where it goes on. */
  waiting: string | null;
}

/**
 * A worker's sign of life: renews the leases of its attempts. Returns those that it must give up, because another
 * attempt took over, the run or its people do not want them any more, or their server process is gone.
 * @param trouble why the worker cannot even claim a task; null where it can
 * @param away by run, why it leaves that run's tasks to others
 */
export async function renewLeases(
  on: Queryable,
  worker: string,
  attempts: LiveAttempt[],
  trouble: string | null = null,
  away: Record<string, string> = {},
): Promise<string[]> {
  await on.query(
    'update rowfleet.worker set seen_at = clock_timestamp(), trouble = $2, away = $3 where id = $1',
    [worker, trouble, JSON.stringify(away)],
  );
  if (attempts.length === 0) return [];
  const { rows } = await on.query(
    `with mine as (
       select * from unnest($1::bigint[], $2::int[], $3::bigint[], $5::text[]) as m (task_id, number, bytes, waiting)
     ), renewed as (
       update rowfleet.attempt a
          set lease_until = clock_timestamp() + $4 * interval '1 millisecond', bytes = m.bytes, waiting = m.waiting
         from mine m, rowfleet.run r, rowfleet.task t
        where a.task_id = m.task_id and a.number = m.number and a.ended_at is null
          and r.id = a.run_id and r.state = 'running'
          and t.id = a.task_id and not ${isOfCancelledFlow}
          and exists (select 1 from pg_stat_activity s
                       where s.pid = a.backend_pid and s.backend_start = a.backend_start)
       returning a.task_id
     )
     select task_id::text as id from mine except select task_id::text from renewed`,
    [
      attempts.map((a) => a.taskId),
      attempts.map((a) => a.number),
      attempts.map((a) => a.bytes),
      leaseMs,
      attempts.map((a) => a.waiting),
    ],
  );
  return rows.map((row: { id: string }) => row.id);
}

/** Says how many tasks of a kind a worker does at the same time from now on. */
export async function setWorkerSlots(on: Queryable, worker: string, slots: number): Promise<void> {
  await on.query('update rowfleet.worker set concurrency = $2 where id = $1', [worker, slots]);
}

/** Says that a worker has left. */
export async function endWorker(on: Queryable, worker: string): Promise<void> {
  await on.query('update rowfleet.worker set stopped_at = clock_timestamp() where id = $1', [worker]);
}

/** What the live workers of a kind can do. */
export interface WorkForce {
  /** Tasks at the same time. */
  slots: number;
  /** Which of them cannot take up a task of the run, and why, where none of them can. */
  trouble: string | null;
}

/** Reads what the live workers of a kind can do for a run. */
export async function readWorkForce(on: Queryable, kind: WorkerKind, runId: string): Promise<WorkForce> {
  const { rows } = await on.query(
    `select coalesce(sum(concurrency), 0)::int as slots,
            case when bool_and(why is not null)
              then min(format('%s %s pid %s: %s', kind, host, pid, why)) end as trouble
       from rowfleet.worker cross join lateral (select coalesce(trouble, away ->> $2::text) as why) t
      where kind = $1 and stopped_at is null and seen_at > clock_timestamp() - interval '10 seconds'`,
    [kind, runId],
  );
  return rows[0];
}
