import type { CutState } from './flows.ts';
import { isHeldBack } from './holds.ts';
import type { Queryable } from './ledger.ts';
import type { RecordedError } from './recorded-error.ts';

export type TaskKind = 'batch' | 'build' | 'check' | 'mend';
export type TaskMode = 'copy' | 'corner' | 'reload';

/** What a batch copies: blocks of one leaf of its flow's driving table. */
export interface BatchSpec {
  /** Index into the flow's leaves. */
  leaf: number;
  fromBlock: number;
  toBlock: number | null;
}

/** Writes the next batch of a flow together with where cutting then stands. The caller's transaction holds both. */
export async function insertBatch(
  on: Queryable,
  runId: string,
  flow: { name: string; target: string },
  spec: BatchSpec,
  cut: CutState,
  cutDone: boolean,
): Promise<void> {
  await on.query(
    `with cut as (
       update rowfleet.flow set cut = $5, cut_done = $6 where run_id = $1 and name = $2 returning 1
     )
     insert into rowfleet.task (run_id, kind, flow, relation, spec) select $1, 'batch', $2, $3, $4 from cut`,
    [runId, flow.name, flow.target, JSON.stringify(spec), JSON.stringify(cut), cutDone],
  );
}

/** Writes a build or a check. */
export async function insertTask(
  on: Queryable,
  runId: string,
  kind: 'build' | 'check',
  relation: string,
  spec: unknown,
): Promise<void> {
  await on.query('insert into rowfleet.task (run_id, kind, relation, spec) values ($1, $2, $3, $4)', [
    runId,
    kind,
    relation,
    JSON.stringify(spec),
  ]);
}

export interface OpenTask {
  id: string;
  kind: TaskKind;
  flow: string | null;
  attempt: number;
  /** It runs, and no attempt with a lease is at it. */
  lapsed: boolean;
  state: 'waiting' | 'running';
  /** By a hold of the run or of its flow. */
  held: boolean;
  /** Milliseconds until it may be tried; 0 for now. */
  earlyMs: number;
}

/** The tasks of a run that wait or run. */
export async function readOpenTasks(on: Queryable, runId: string): Promise<OpenTask[]> {
  const { rows } = await on.query(
    `select t.id, t.kind, t.flow, t.attempt, t.state, ${isHeldBack} as held,
            t.state = 'running' and coalesce(a.lease_until < clock_timestamp(), true) as lapsed,
            greatest(0, coalesce(extract(epoch from t.not_before - clock_timestamp()) * 1000, 0))::float8 as "earlyMs"
       from rowfleet.task t
       left join rowfleet.attempt a on a.task_id = t.id and a.number = t.attempt and a.ended_at is null
      where t.run_id = $1 and t.state in ('waiting', 'running') order by t.id`,
    [runId],
  );
  return rows;
}

export interface FailedTask {
  id: string;
  kind: TaskKind;
  flow: string | null;
  relation: string;
  spec: unknown;
  error: RecordedError;
}

/** The tasks of a run that failed for good. */
export async function readFailedTasks(on: Queryable, runId: string): Promise<FailedTask[]> {
  const { rows } = await on.query(
    `select id, kind, flow, relation, spec, error from rowfleet.task where run_id = $1 and state = 'failed' order by id`,
    [runId],
  );
  return rows;
}

/** Gives every task that failed for good a new set of tries. */
export async function reopenFailedTasks(on: Queryable, runId: string): Promise<void> {
  await on.query(
    `update rowfleet.task set state = 'waiting', failures = 0, not_before = null, ended_at = null
      where run_id = $1 and state = 'failed'`,
    [runId],
  );
}

/** Drops tasks that will not be needed: those of a kind that have not been done. */
export async function deleteTasks(on: Queryable, runId: string, kind: TaskKind): Promise<void> {
  await on.query('delete from rowfleet.task where run_id = $1 and kind = $2', [runId, kind]);
}

export interface RecentBatch {
  blocks: number | null;
  seconds: number;
  bytes: number;
}

/** The latest done batches of a flow: what sizing learns from. */
export async function readRecentBatches(
  on: Queryable,
  runId: string,
  flow: string,
  limit = 8,
): Promise<RecentBatch[]> {
  const { rows } = await on.query(
    `select ((spec->>'toBlock')::bigint - (spec->>'fromBlock')::bigint)::float8 as blocks, seconds, bytes::float8
       from rowfleet.task where run_id = $1 and kind = 'batch' and flow = $2 and state = 'done'
      order by ended_at desc limit $3`,
    [runId, flow, limit],
  );
  return rows;
}

/** Blocks of the smallest batch of a flow that was too much at once and is not copied yet; null where none was. */
export async function readTooManyBlocks(on: Queryable, runId: string, flow: string): Promise<number | null> {
  const { rows } = await on.query(
    `select min((error ->> 'tooManyBlocks')::float8) as blocks
       from rowfleet.task
      where run_id = $1 and kind = 'batch' and flow = $2 and state in ('waiting', 'running')`,
    [runId, flow],
  );
  return rows[0].blocks;
}

/** Whether every batch of these flows is done or cancelled (cutting aside). */
export async function areBatchesDone(on: Queryable, runId: string, flows: string[]): Promise<boolean> {
  const { rowCount } = await on.query(
    `select 1 from rowfleet.task where run_id = $1 and kind = 'batch' and flow = any($2)
        and state not in ('done', 'cancelled') limit 1`,
    [runId, flows],
  );
  return rowCount === 0;
}

/** State of each build of a run, by object id. */
export async function readBuilds(on: Queryable, runId: string): Promise<Map<string, string>> {
  const { rows } = await on.query(
    `select spec->>'object' as object, state from rowfleet.task where run_id = $1 and kind = 'build'`,
    [runId],
  );
  return new Map(rows.map((row: { object: string; state: string }) => [row.object, row.state]));
}

/** How many checks a run has, and how many of them are done. */
export async function countChecks(on: Queryable, runId: string): Promise<{ all: number; done: number }> {
  const { rows } = await on.query(
    `select count(*)::int as all, (count(*) filter (where state = 'done'))::int as done
       from rowfleet.task where run_id = $1 and kind = 'check'`,
    [runId],
  );
  return rows[0];
}

/** Ends the tasks of a cancelled run: those that nobody works on, or `all` that are open, once no attempt is left. */
export async function cancelTasks(on: Queryable, runId: string, all = false): Promise<void> {
  await on.query(
    `update rowfleet.task set state = 'cancelled'
      where run_id = $1 and (state in ('waiting', 'failed') or $2 and state = 'running')`,
    [runId, all],
  );
}

/**
 * Terminates the backends of a run's attempts whose lease has run out: nobody takes these over any more. Returns how many
 * attempts still had a backend, so that what they wrote may yet commit; look again until there are none.
 */
export async function endLapsedAttempts(on: Queryable, runId: string): Promise<number> {
  const { rows } = await on.query(
    `select count(*)::int as n,
            count(case when a.lease_until < clock_timestamp() then pg_terminate_backend(s.pid) end) as lapsed
       from rowfleet.attempt a join pg_stat_activity s
         on s.pid = a.backend_pid and s.backend_start = a.backend_start
      where a.run_id = $1 and a.ended_at is null and s.pid <> pg_backend_pid()`,
    [runId],
  );
  return rows[0].n;
}

/** Forgets the builds that ended in a finding, so that they are tried again. */
export async function deleteUnfinishedBuilds(on: Queryable, runId: string): Promise<void> {
  await on.query(
    `delete from rowfleet.task t using rowfleet.object o
      where t.run_id = $1 and t.kind = 'build' and o.id = (t.spec->>'object')::bigint and o.state <> 'back'`,
    [runId],
  );
}

/** Whether every flow of a run that was not cancelled is cut to its end, and every batch done or cancelled. */
export async function isCopyDone(on: Queryable, runId: string): Promise<boolean> {
  const { rows } = await on.query(
    `select not exists (select 1 from rowfleet.flow where run_id = $1 and not cut_done and not cancelled)
        and not exists (select 1 from rowfleet.task where run_id = $1 and kind = 'batch'
              and state not in ('done', 'cancelled')) as done`,
    [runId],
  );
  return rows[0].done;
}
