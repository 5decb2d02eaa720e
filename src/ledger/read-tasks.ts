import type { Session } from '../pg/session.ts';
import type { Queryable } from './ledger.ts';
import type { RecordedError } from './recorded-error.ts';
import type { TaskKind } from './tasks.ts';
import type { WorkerKind } from './workers.ts';

export type TaskState = 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';

/** A build or a check, or a batch that is in trouble. */
export interface TaskProgress {
  id: string;
  kind: TaskKind;
  /** Display name of the table it is about. */
  relation: string;
  /** People's name of it: `index chunks_kind_idx`, `digest`, `orphans of chunks_parent_fkey`, `batch 12 of chunks, blocks 40 to 80`. */
  label: string;
  state: TaskState;
  attempt: number;
  failures: number;
  /** When the next attempt may start; null where nothing holds it back. */
  notBefore: Date | null;
  seconds: number | null;
  evidence: Record<string, number> | null;
  error: RecordedError | null;
}

/** One attempt that runs now. */
export interface RunningAttempt {
  taskId: string;
  number: number;
  kind: TaskKind;
  label: string;
  relation: string;
  flow: string | null;
  worker: string;
  /** Null where the worker's row is gone. */
  host: string | null;
  pid: number | null;
  startedAt: Date;
  seconds: number;
  leaseUntil: Date;
  /** The lease has run out: a successor may end this attempt. */
  leaseLost: boolean;
  bytes: number;
  /** What it waits for: a lock, and who holds it. Null where it goes on. */
  waiting: string | null;
}

/** A process of the fleet that has been seen lately. */
export interface LiveWorker {
  id: string;
  kind: WorkerKind;
  host: string;
  pid: number;
  concurrency: number;
  startedAt: Date;
  /** Why it takes up no tasks, of any run or of those that it names; null where it does. */
  trouble: string | null;
}

const label = `
  case t.kind
    when 'batch' then 'batch of ' || t.flow
    when 'mend' then 'refused rows of ' || t.flow
    when 'build' then coalesce(
      (select o.kind || ' ' || o.name from rowfleet.object o where o.id = (t.spec ->> 'object')::bigint), 'build')
    else (t.spec ->> 'check') || coalesce(' of ' || coalesce(t.spec ->> 'name', t.spec ->> 'flow'), '')
  end`;

// biome-ignore lint/suspicious/noExplicitAny: a row as pg returns it.
const toTask = (row: any): TaskProgress => ({
  id: row.id,
  kind: row.kind,
  relation: row.relation,
  label: row.label,
  state: row.state,
  attempt: row.attempt,
  failures: row.failures,
  notBefore: row.not_before,
  seconds: row.seconds,
  evidence: row.evidence,
  error: row.error,
});

const taskColumns = (
  label: string,
) => `t.id, t.kind, t.relation, ${label} as label, t.state, t.attempt, t.failures,
  case when t.state = 'waiting' and t.not_before > statement_timestamp() then t.not_before end as not_before,
  t.seconds, t.evidence, t.error`;

/** The builds and checks of a run, in the order in which they were made. */
export async function readBuildsAndChecks(session: Session, runId: string): Promise<TaskProgress[]> {
  const { rows } = await session.query(
    `select ${taskColumns(label)} from rowfleet.task t
     where t.run_id = $1 and t.kind in ('build', 'check') and t.state <> 'cancelled' order by t.id`,
    [runId],
  );
  return rows.map(toTask);
}

/** Which batch it is, and what it reads: `batch 12 of book, blocks 40 to 80`; `ranges …` where it is cut by a key. */
const batchLabel = `
  case t.kind when 'mend' then 'refused rows ' else 'batch ' end || t.id || ' of ' || t.flow || coalesce(
    ', ' || coalesce((select 'ranges' from rowfleet.flow f
       where f.run_id = t.run_id and f.name = t.flow and f.bounds <> '{}'), 'blocks') || ' ' || (t.spec ->> 'fromBlock') || ' to ' || coalesce(t.spec ->> 'toBlock', 'the end'),
    case t.spec ->> 'scope' when 'whole' then ', all of it' when 'range' then
      ', keys from ' || coalesce(t.spec ->> 'from', 'the first') || ' to ' || coalesce(t.spec ->> 'to', 'the last') end, '')`;

/** Batches, and refused rows sent again, whose last attempts failed and that are not done, worst first; at most `limit` (defaults to 20). */
export async function readTroubledBatches(
  session: Session,
  runId: string,
  limit = 20,
): Promise<TaskProgress[]> {
  const { rows } = await session.query(
    `select ${taskColumns(batchLabel)} from rowfleet.task t
     where t.run_id = $1 and t.kind in ('batch', 'mend') and t.state in ('waiting', 'running', 'failed') and t.error is not null
     order by t.state = 'failed' desc, t.failures desc, t.id limit $2`,
    [runId, limit],
  );
  return rows.map(toTask);
}

/** SQL: what the attempt `a` waits for: what it says itself, else the lock that its backend stands in line for. */
const waitingFor = `coalesce(a.waiting, (
  select format('waiting %s s for a lock%s, held by %s', extract(epoch from clock_timestamp() - s.query_start)::int,
    (select ' on ' || l.relation::regclass from pg_locks l
      where l.pid = s.pid and l.locktype = 'relation' and not l.granted and l.relation::regclass::text <> t.relation limit 1),
    (select string_agg(format('%s (pid %s%s)', coalesce(nullif(h.application_name, ''), h.backend_type, 'a session'), h.pid, ', ' || h.state), ', ')
       from pg_stat_activity h where h.pid = any (pg_blocking_pids(s.pid))))
    from pg_stat_activity s
   where s.pid = a.backend_pid and s.backend_start = a.backend_start and s.wait_event_type = 'Lock'
     and s.query_start < clock_timestamp() - interval '1 second'))`;

/** The attempts of a run that have not ended, oldest first. */
export async function readRunningAttempts(session: Session, runId: string): Promise<RunningAttempt[]> {
  const { rows } = await session.query(
    `select a.task_id, a.number, t.kind, ${label} as label, t.relation, t.flow, a.worker, w.host, w.pid, a.started_at,
       extract(epoch from statement_timestamp() - a.started_at)::float8 as seconds,
       a.lease_until, a.lease_until < statement_timestamp() as lease_lost, a.bytes, ${waitingFor} as waiting
     from rowfleet.attempt a
     join rowfleet.task t on t.id = a.task_id
     left join rowfleet.worker w on w.id = a.worker
     where a.run_id = $1 and a.ended_at is null
     order by a.started_at, a.task_id`,
    [runId],
  );
  return rows.map((row) => ({
    taskId: row.task_id,
    number: row.number,
    kind: row.kind,
    label: row.label,
    relation: row.relation,
    flow: row.flow,
    worker: row.worker,
    host: row.host,
    pid: row.pid,
    startedAt: row.started_at,
    seconds: Math.max(0, row.seconds),
    leaseUntil: row.lease_until,
    leaseLost: row.lease_lost,
    bytes: Number(row.bytes),
    waiting: row.waiting,
  }));
}

/** What one of a run's attempts waits for; null where none does. */
export async function readWaitingAttempt(on: Queryable, runId: string): Promise<string | null> {
  const { rows } = await on.query(
    `select t.relation || ' is ' || w.waiting as waiting
       from rowfleet.attempt a join rowfleet.task t on t.id = a.task_id
      cross join lateral (select ${waitingFor} as waiting) w
      where a.run_id = $1 and a.ended_at is null and w.waiting is not null
      order by a.started_at limit 1`,
    [runId],
  );
  return rows[0]?.waiting ?? null;
}

/** The fleet's processes that renewed their row within `withinSeconds` (defaults to 10) and have not stopped. */
export async function readLiveWorkers(session: Session, withinSeconds = 10): Promise<LiveWorker[]> {
  const { rows } = await session.query(
    `select id, kind, host, pid, concurrency, started_at as "startedAt",
            coalesce(trouble, (select string_agg(format('takes no tasks of run %s: %s', run, why), '; ' order by run)
                                 from jsonb_each_text(away) as a (run, why))) as trouble
       from rowfleet.worker
     where stopped_at is null and seen_at > statement_timestamp() - make_interval(secs => $1)
     order by array_position(array['scheduler', 'loader', 'validator'], kind), started_at, id`,
    [withinSeconds],
  );
  return rows;
}
