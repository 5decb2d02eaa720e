import type { RelationName } from '../pg/quote.ts';
import type { Queryable } from './ledger.ts';
import type { TaskState } from './read-tasks.ts';
import type { ReloadSpec } from './reload.ts';
import type { RunState } from './runs.ts';
import type { TaskKind } from './tasks.ts';

/** A task that may be requeued. */
export interface RequeueableTask {
  id: string;
  kind: TaskKind;
  flow: string | null;
  state: TaskState;
  attempt: number;
  /** Its back-off has not run out. */
  early: boolean;
  /** What it covers has been loaded once. */
  loaded: boolean;
  /** Of a batch that loads more than some blocks again; else null. */
  scope: ReloadSpec['scope'] | null;
}

/**
 * Tasks of a run: those named, else those that failed; of one flow where it is given. Those that do not run are locked
 * until this transaction ends: what runs holds its own row for as long as it does.
 */
export async function lockTasks(
  on: Queryable,
  runId: string,
  { ids, flow }: { ids?: string[]; flow?: string },
): Promise<RequeueableTask[]> {
  const chosen = `run_id = $1 and ($2::bigint[] is null or id = any($2)) and ($3::text is null or flow = $3)
    and ($2::bigint[] is not null or state = 'failed')`;
  const params = [runId, ids ?? null, flow ?? null];
  const locked = await on.query(
    `select id from rowfleet.task where ${chosen} and state <> 'running' order by id for update`,
    params,
  );
  const { rows } = await on.query(
    `select id::text, kind, flow, case when id = any($4) then state else 'running' end as state, attempt,
            coalesce(not_before > clock_timestamp(), false) as early, rows_in is not null as loaded, spec ->> 'scope' as scope
       from rowfleet.task where ${chosen} order by id`,
    [...params, locked.rows.map(({ id }) => id)],
  );
  return rows;
}

/** Gives tasks a new set of tries, at once; with `reload` to load what they cover again. */
export async function reopenTasks(
  on: Queryable,
  ids: string[],
  options: { reload?: boolean } = {},
): Promise<void> {
  await on.query(
    `update rowfleet.task
        set state = 'waiting', failures = 0, not_before = null, ended_at = null,
            mode = case when $2 then 'reload' else mode end
      where id = any($1)`,
    [ids, options.reload === true],
  );
}

/** Writes a batch that loads a scope of a flow again; returns its id. */
export async function insertReload(
  on: Queryable,
  runId: string,
  flow: { name: string; target: string },
  spec: ReloadSpec,
): Promise<string> {
  const { rows } = await on.query(
    `insert into rowfleet.task (run_id, kind, flow, relation, spec, mode)
     values ($1, 'batch', $2, $3, $4, 'reload') returning id::text`,
    [runId, flow.name, flow.target, JSON.stringify(spec)],
  );
  return rows[0].id;
}

/**
 * Gives up reloads that are not done, of one flow where it is given: what they cover stays as it was loaded. Returns how
 * many there were. The attempt at one that is under way is ended, and its rows are rolled back.
 */
export async function withdrawReloads(on: Queryable, runId: string, flow?: string): Promise<number> {
  const open = `t.run_id = $1 and ($2::text is null or t.flow = $2) and t.kind = 'batch' and t.mode = 'reload'
    and t.state in ('waiting', 'running', 'failed')`;
  const params = [runId, flow ?? null];
  await on.query(
    `with ended as (
       update rowfleet.attempt a set ended_at = clock_timestamp(), outcome = 'handed back'
         from rowfleet.task t
        where a.task_id = t.id and a.number = t.attempt and a.ended_at is null and t.state = 'running' and ${open}
       returning a.backend_pid, a.backend_start
     )
     select pg_terminate_backend(s.pid) from ended e
       join pg_stat_activity s on s.pid = e.backend_pid and s.backend_start = e.backend_start
      where s.pid <> pg_backend_pid()`,
    params,
  );
  const dropped = await on.query(`delete from rowfleet.task t where ${open} and rows_in is null`, params);
  const kept = await on.query(
    `update rowfleet.task t
        set state = 'done', mode = 'copy', failures = 0, error = null, not_before = null, ended_at = clock_timestamp()
      where ${open}`,
    params,
  );
  return (dropped.rowCount ?? 0) + (kept.rowCount ?? 0);
}

/** Another run, and the tables that it fills. */
export interface RivalRun {
  id: string;
  name: string;
  state: RunState;
  targets: RelationName[];
}

/** The runs that may not agree with a reload by run `runId` of tables that they fill too: unfinished, or begun later and not cancelled. */
export async function readRivalRuns(on: Queryable, runId: string): Promise<RivalRun[]> {
  const { rows } = await on.query(
    `select id::text, name, state, plan -> 'targets' as targets from rowfleet.run
      where id <> $1 and kind = 'migrate' and state <> 'cancelled' and (id > $1 or state <> 'verified')
      order by id desc`,
    [runId],
  );
  return rows;
}
