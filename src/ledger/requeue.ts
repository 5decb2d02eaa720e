import type { RelationName } from '../pg/quote.ts';
import type { Queryable } from './ledger.ts';
import type { TaskState } from './read-tasks.ts';
import type { ReloadSpec } from './reload.ts';
import type { RunState } from './runs.ts';
import type { TaskKind, TaskMode } from './tasks.ts';

/** A task that may be requeued. */
export interface RequeueableTask {
  id: string;
  kind: TaskKind;
  flow: string | null;
  state: TaskState;
  mode: TaskMode;
  attempt: number;
  /** Its back-off has not run out. */
  early: boolean;
  /** What it covers has been loaded once. */
  loaded: boolean;
}

/** Tasks of a run, locked until this transaction ends: those named, else those that failed; of one flow where it is given. */
export async function lockTasks(
  on: Queryable,
  runId: string,
  { ids, flow }: { ids?: string[]; flow?: string },
): Promise<RequeueableTask[]> {
  const { rows } = await on.query(
    `select id::text, kind, flow, state, mode, attempt, coalesce(not_before > clock_timestamp(), false) as early,
            rows_in is not null as loaded
       from rowfleet.task
      where run_id = $1 and ($2::bigint[] is null or id = any($2)) and ($3::text is null or flow = $3)
        and ($2::bigint[] is not null or state = 'failed')
      order by id for update`,
    [runId, ids ?? null, flow ?? null],
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
 * many there were. One that is under way loses its claim, and its rows are rolled back.
 */
export async function withdrawReloads(on: Queryable, runId: string, flow?: string): Promise<number> {
  const open = `run_id = $1 and ($2::text is null or flow = $2) and kind = 'batch' and mode = 'reload'
    and state in ('waiting', 'running', 'failed')`;
  const params = [runId, flow ?? null];
  const dropped = await on.query(`delete from rowfleet.task where ${open} and rows_in is null`, params);
  const kept = await on.query(
    `update rowfleet.task
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
