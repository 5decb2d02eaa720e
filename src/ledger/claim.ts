import { setTimeout as sleep } from 'node:timers/promises';
import type { Session } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import { isOfCancelledFlow } from './flows.ts';
import { isHeldBack } from './holds.ts';
import { isFull, lockConcurrency } from './settings.ts';
import type { TaskKind, TaskMode } from './tasks.ts';

/** How long an attempt may go without a sign of life before a successor ends it. Renewed every second. */
export const leaseMs = 6_000;

/** A task that this worker holds, and everything it needs to begin. */
export interface ClaimedTask {
  kind: 'claimed';
  taskId: string;
  runId: string;
  taskKind: TaskKind;
  /** How a batch puts its rows in. */
  mode: TaskMode;
  number: number;
  /** Earlier attempts that count against max_retries. */
  failures: number;
  /** Attempts since the last one that came to an end of its own that were lost with their process. */
  lost: number;
  flow: string | null;
  relation: string;
  spec: unknown;
  planHash: string;
}

export type Claim =
  | ClaimedTask
  /** Done, failed for good or cancelled: nothing to do. */
  | { kind: 'settled' }
  /** The run does not want it now (stopped, cancelling, ended, as busy as people allow), or it is held back. */
  | { kind: 'held' }
  /** Someone else is at it, or its back-off has not run out. Try again in `waitMs`. */
  | { kind: 'busy'; waitMs: number };

interface TaskRow {
  id: string;
  run_id: string;
  state: string;
  attempt: number;
  run_state: string;
  held: boolean;
  cancelled: boolean;
  /** As many batches of the run are under way as people allow; null where they do not limit it. */
  full: boolean | null;
  early_ms: number;
  lease_ms: number | null;
  backend_pid: number | null;
  backend_start: string | null;
}

async function readTask(session: Session, taskId: string): Promise<TaskRow | undefined> {
  const { rows } = await session.query(
    `select t.id, t.run_id, t.state, t.attempt, r.state as run_state, ${isHeldBack} as held,
            ${isOfCancelledFlow} as cancelled, ${isFull} as full,
            coalesce(extract(epoch from t.not_before - clock_timestamp()) * 1000, 0)::float8 as early_ms,
            (extract(epoch from a.lease_until - clock_timestamp()) * 1000)::float8 as lease_ms,
            a.backend_pid, a.backend_start::text
       from rowfleet.task t
       join rowfleet.run r on r.id = t.run_id
       left join rowfleet.attempt a on a.task_id = t.id and a.number = t.attempt and a.ended_at is null
      where t.id = $1`,
    [taskId],
  );
  return rows[0];
}

/**
 * Terminates the backend of an attempt whose lease has run out, waits until it is gone, and gives the task back: whatever
 * becomes of the successor, a task without an attempt waits.
 */
async function endPredecessor(session: Session, task: TaskRow): Promise<void> {
  const mine = [task.backend_pid, task.backend_start];
  const alive = `from pg_stat_activity where pid = $1 and backend_start = $2::timestamptz and pid <> pg_backend_pid()`;
  await session.query(`select pg_terminate_backend(pid) ${alive}`, mine);
  for (;;) {
    const { rowCount } = await session.query(`select 1 ${alive}`, mine);
    if (rowCount === 0) break;
    await sleep(50);
  }
  await inTransaction(session, 'read committed', async () => {
    // Several tasks of one worker are taken over at once: that it was lost is told once.
    await session.query(`select pg_advisory_xact_lock(hashtextextended('rowfleet.lost ' || $1, 0))`, [
      task.run_id,
    ]);
    await session.query(
      `with lost as (
         update rowfleet.attempt set ended_at = clock_timestamp(), outcome = 'lost'
          where task_id = $1 and number = $2 and ended_at is null returning task_id, run_id, worker
       ), told as (
         insert into rowfleet.event (run_id, actor, message)
         select l.run_id, 'fleet', m.message from lost l left join rowfleet.worker w on w.id = l.worker
          cross join lateral (select 'lost ' || coalesce(w.kind || ' ' || w.id || ' on ' || w.host || ', pid ' || w.pid, l.worker)
            || ': others take over what it had in hand' as message) m
          where not exists (select from rowfleet.event e where e.run_id = l.run_id and e.message = m.message)
       )
       update rowfleet.task set state = 'waiting'
        where id = (select task_id from lost) and attempt = $2 and state = 'running'`,
      [task.id, task.attempt],
    );
  });
}

/** Settles a task that people want no more, and that nobody works on. */
async function cancelTask(session: Session, task: TaskRow): Promise<void> {
  await session.query(
    `update rowfleet.task set state = 'cancelled', ended_at = clock_timestamp()
      where id = $1 and attempt = $2 and state in ('waiting', 'running')`,
    [task.id, task.attempt],
  );
}

/**
 * Claims a task in a transaction of its own, committed before the work starts, for the backend of `session`:
 * the session that the work will then run on, so that a successor can end exactly that backend.
 */
export async function claimTask(session: Session, worker: string, taskId: string): Promise<Claim> {
  const task = await readTask(session, taskId);
  if (task === undefined || !['waiting', 'running'].includes(task.state)) return { kind: 'settled' };
  if (task.run_state !== 'running' || task.held) return { kind: 'held' };
  if (task.state === 'waiting' && task.early_ms > 0) return { kind: 'busy', waitMs: task.early_ms };
  if (task.lease_ms !== null) {
    if (task.lease_ms > 0) return { kind: 'busy', waitMs: task.lease_ms };
    await endPredecessor(session, task);
  }
  if (task.cancelled) {
    await cancelTask(session, task);
    return { kind: 'settled' };
  }
  if (task.full === null) return take(session, worker, task);
  return inTransaction(session, 'read committed', async () => {
    await lockConcurrency(session, task.run_id);
    const isStillFull = (await readTask(session, taskId))?.full;
    return isStillFull ? { kind: 'held' } : take(session, worker, task);
  });
}

/** Makes the next attempt at a task the one of this session. */
async function take(session: Session, worker: string, task: TaskRow): Promise<Claim> {
  const { rows } = await session.query(
    `with claimed as (
       update rowfleet.task t set state = 'running', attempt = attempt + 1
        where id = $1 and attempt = $2 and state in ('waiting', 'running') and not ${isHeldBack} and not ${isOfCancelledFlow}
       returning t.*
     ), tried as (
       insert into rowfleet.attempt (task_id, number, run_id, worker, backend_pid, backend_start, lease_until)
       select c.id, c.attempt, c.run_id, $3, pg_backend_pid(), s.backend_start,
              clock_timestamp() + $4 * interval '1 millisecond'
         from claimed c, pg_stat_activity s where s.pid = pg_backend_pid()
       returning number
     )
     select c.*, r.plan_hash, (
              select count(*)::int from rowfleet.attempt a where a.task_id = c.id and a.outcome = 'lost' and a.number > coalesce(
                (select max(b.number) from rowfleet.attempt b where b.task_id = c.id and b.outcome in ('done', 'failed')), 0)
            ) as lost
       from claimed c join rowfleet.run r on r.id = c.run_id cross join tried`,
    [task.id, task.attempt, worker, leaseMs],
  );
  const claimed = rows[0];
  if (claimed === undefined) return { kind: 'busy', waitMs: 500 };
  return {
    kind: 'claimed',
    taskId: task.id,
    runId: claimed.run_id,
    taskKind: claimed.kind,
    mode: claimed.mode,
    number: claimed.attempt,
    failures: claimed.failures,
    lost: claimed.lost,
    flow: claimed.flow,
    relation: claimed.relation,
    spec: claimed.spec,
    planHash: claimed.plan_hash,
  };
}
