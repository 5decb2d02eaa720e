import type { Session } from '../pg/session.ts';
import type { TaskState } from './read-tasks.ts';
import type { Phase, RunState } from './runs.ts';
import type { TaskKind } from './tasks.ts';
import type { WorkerKind } from './workers.ts';

/** Tasks of one run that are alike, counted and summed. */
export interface TaskFigures {
  run: string;
  kind: TaskKind;
  /** Null for builds and checks. */
  flow: string | null;
  state: TaskState;
  tasks: number;
  /** Rows and bytes that the target took; of tasks that are done. */
  rows: number;
  bytes: number;
  /** Seconds that they took together; of tasks that are done. */
  seconds: number;
  /** Attempts that ended in an error. */
  failures: number;
  /** Attempts that run now. */
  attempts: number;
}

/** Where a run stands. */
export interface RunFigures {
  run: string;
  plan: string;
  state: RunState;
  phase: Phase;
  findings: number;
}

/** Processes of one kind that were seen within the last 10 seconds. */
export interface WorkerFigures {
  kind: WorkerKind;
  workers: number;
  /** Tasks that they can have in hand at the same time. */
  concurrency: number;
}

/** What the ledger knows of the whole fleet at one moment. */
export interface FleetFigures {
  runs: RunFigures[];
  tasks: TaskFigures[];
  workers: WorkerFigures[];
}

/** Reads the figures of the runs that are under way and of the newest ones, `limit` in all (defaults to 20). */
export async function readFleet(session: Session, limit = 20): Promise<FleetFigures> {
  const runs = await session.query<RunFigures>(
    `select r.id::text as run, r.name as plan, r.state, r.phase,
            (select count(*) from rowfleet.finding f where f.run_id = r.id)::int as findings
       from rowfleet.run r
      order by r.state in ('running', 'cancelling') desc, r.id desc limit $1`,
    [limit],
  );
  const tasks = await session.query<TaskFigures>(
    `select t.run_id::text as run, t.kind, t.flow, t.state, count(*)::int as tasks,
            coalesce(sum(t.rows_in) filter (where t.state = 'done'), 0)::float8 as rows,
            coalesce(sum(t.bytes) filter (where t.state = 'done'), 0)::float8 as bytes,
            coalesce(sum(t.seconds) filter (where t.state = 'done'), 0)::float8 as seconds,
            sum(t.failures)::int as failures, count(a.task_id)::int as attempts
       from rowfleet.task t
       left join rowfleet.attempt a on a.task_id = t.id and a.ended_at is null
      where t.run_id = any ($1::bigint[])
      group by t.run_id, t.kind, t.flow, t.state
      order by t.run_id, t.kind, t.flow, t.state`,
    [runs.rows.map((row) => row.run)],
  );
  return { runs: runs.rows, tasks: tasks.rows, workers: await readWorkerFigures(session) };
}

/** The fleet's processes by kind; every kind is there, with 0 where none was seen within the last 10 seconds. */
export async function readWorkerFigures(session: Session): Promise<WorkerFigures[]> {
  const { rows } = await session.query<WorkerFigures>(
    `select k.kind, count(w.id)::int as workers, coalesce(sum(w.concurrency), 0)::int as concurrency
       from unnest(array['scheduler', 'loader', 'validator']) with ordinality as k (kind, place)
       left join rowfleet.worker w on w.kind = k.kind and w.stopped_at is null
         and w.seen_at > statement_timestamp() - interval '10 seconds'
      group by k.kind, k.place order by k.place`,
  );
  return rows;
}

/** How many runs are under way. */
export async function countActiveRuns(session: Session): Promise<number> {
  const { rows } = await session.query<{ active: number }>(
    `select count(*)::int as active from rowfleet.run where state in ('running', 'cancelling')`,
  );
  return rows[0]!.active;
}
