import type { Queryable } from './ledger.ts';

/** Where cutting a flow into batches stands. Block numbers are PostgreSQL's 8 kB pages. */
export interface CutState {
  /** Blocks of each leaf when the copy began, in the flow's leaf order. Of a flow that is cut by key: one number, of its ranges between bounds. */
  blocks: number[];
  /** The server's estimate of rows a block, before any batch has measured it. */
  rowsPerBlock: number;
  leaf: number;
  nextBlock: number;
}

export interface FlowRow {
  name: string;
  target: string;
  estimatedBytes: number;
  cut: CutState;
  cutDone: boolean;
  /** People want no more rows of it. */
  cancelled: boolean;
  /** Of flows that are read together: the one that has the batches; null for a flow by itself. Where cutting and cancelling stand is what stands there for that one. */
  readWith: string | null;
  /** Flows that are to be copied before: what its rows are looked up in. */
  waitsFor: string[];
}

/** SQL: a run's flows `f`, each beside the one `l` that has its batches. */
const withLeader =
  'rowfleet.flow f join rowfleet.flow l on l.run_id = f.run_id and l.name = coalesce(f.read_with, f.name)';

/** Writes the flows of a run, once, with their estimates. */
export async function insertFlow(
  on: Queryable,
  runId: string,
  ordinal: number,
  flow: Omit<FlowRow, 'cancelled' | 'readWith' | 'waitsFor'> & {
    readWith?: string | null;
    waitsFor?: string[];
    /** What parts the ranges of a flow that is cut by key, ascending, as text: one fewer than they are. */
    bounds?: string[];
    estimatedRows: number;
    targetRowsBefore: number;
  },
): Promise<void> {
  await on.query(
    `insert into rowfleet.flow
       (run_id, name, ordinal, target, target_rows_before, estimated_rows, estimated_bytes, cut, cut_done, read_with, waits_for, bounds)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict do nothing`,
    [
      runId,
      flow.name,
      ordinal,
      flow.target,
      flow.targetRowsBefore,
      Math.round(flow.estimatedRows),
      Math.round(flow.estimatedBytes),
      JSON.stringify(flow.cut),
      flow.cutDone,
      flow.readWith ?? null,
      flow.waitsFor ?? [],
      flow.bounds ?? [],
    ],
  );
}

/** The flows of a run, largest first; `lock` keeps their cutting as it is until this transaction ends. */
export async function readFlows(
  on: Queryable,
  runId: string,
  { lock = false }: { lock?: boolean } = {},
): Promise<FlowRow[]> {
  const { rows } = await on.query(
    `select f.name, f.target, f.estimated_bytes::float8 as "estimatedBytes", f.cut, l.cut_done as "cutDone", l.cancelled,
            f.read_with as "readWith", f.waits_for as "waitsFor"
       from ${withLeader} where f.run_id = $1 order by f.estimated_bytes desc, f.ordinal ${lock ? 'for update of f' : ''}`,
    [runId],
  );
  return rows;
}

/** The bounds between which some ranges of a flow lie that is cut by key: of the first, and of the one behind the last; null is open. */
export async function readBounds(
  on: Queryable,
  runId: string,
  name: string,
  { fromBlock, toBlock }: { fromBlock: number; toBlock: number | null },
): Promise<{ from: string | null; to: string | null }> {
  const { rows } = await on.query(
    `select bounds[$3] as from, bounds[$4] as to from rowfleet.flow where run_id = $1 and name = $2`,
    [runId, name, fromBlock, toBlock],
  );
  return rows[0];
}

/** Starts flows again from nothing: their batches go, with what these put into quarantine, and cutting begins anew. In a read committed transaction that empties the target too. */
export async function restartFlows(on: Queryable, runId: string, names: string[]): Promise<void> {
  // Again until nothing is left: while a delete waits for a batch, that may be halved.
  let rowCount: number | null;
  do {
    ({ rowCount } = await on.query(
      `delete from rowfleet.task where run_id = $1 and kind in ('batch', 'mend') and flow = any($2)`,
      [runId, names],
    ));
  } while (rowCount !== 0);
  await on.query(
    `update rowfleet.flow set cut_done = coalesce(read_with, name) <> name, cut = cut || '{"leaf": 0, "nextBlock": 0}'
      where run_id = $1 and name = any($2)`,
    [runId, names],
  );
}

/** The flows whose first copy has not come to its end: not cut, or with a batch that was never loaded. */
export async function readOpenFlows(on: Queryable, runId: string): Promise<string[]> {
  const { rows } = await on.query(
    `select name from rowfleet.flow f
      where run_id = $1 and not cancelled and (not cut_done or exists (
        select from rowfleet.task t where t.run_id = f.run_id and t.flow = f.name and t.kind = 'batch'
           and t.mode <> 'reload' and t.state not in ('done', 'cancelled')))
      order by ordinal`,
    [runId],
  );
  return rows.map(({ name }: { name: string }) => name);
}

/** Rows that each target table held before the run, by display name. */
export async function readRowsBefore(on: Queryable, runId: string): Promise<Record<string, number>> {
  const { rows } = await on.query(
    `select target, max(target_rows_before)::float8 as before from rowfleet.flow where run_id = $1 group by target`,
    [runId],
  );
  return Object.fromEntries(rows.map((row: { target: string; before: number }) => [row.target, row.before]));
}

/** What became of a flow's rows: rowsOut = rowsIn + rowsQuarantined, which the batches counted. */
export interface LoadedRows {
  rowsOut: number;
  rowsIn: number;
  rowsQuarantined: number;
  /** Rows that came of driving rows which were refused and then loaded as the plan yields them. Defaults to 0. */
  rowsMended?: number;
}

/** SQL: what a batch `t` counts for the flow `f`, which may be one of several that it feeds. */
export const ofFlow = (column: string, key: 'rowsOut' | 'rowsIn'): string =>
  `case when f.read_with is null then t.${column} else (t.outputs -> f.name ->> '${key}')::bigint end`;

/** SQL: rows of the flow `f` that a row `q` of the quarantine became. */
export const mendedOf = `case when f.read_with is null then q.rows_in else (q.outputs_in -> f.name ->> 'rowsIn')::bigint end`;

/** What the batches of each flow yielded, loaded and quarantined, and what was loaded later. */
export async function readLoaded(on: Queryable, runId: string): Promise<Record<string, LoadedRows>> {
  const { rows } = await on.query(
    `select f.name as flow, coalesce(sum(${ofFlow('rows_out', 'rowsOut')}), 0)::float8 as "rowsOut",
            coalesce(sum(${ofFlow('rows_in', 'rowsIn')}), 0)::float8 as "rowsIn",
            coalesce(sum(t.rows_quarantined) filter (where f.read_with is null), 0)::float8 as "rowsQuarantined",
            (select coalesce(sum(${mendedOf}), 0)::float8 from rowfleet.quarantine q
              where q.run_id = $1 and q.flow = coalesce(f.read_with, f.name) and q.state = 'loaded' and q.edited is null) as "rowsMended"
       from rowfleet.flow f join rowfleet.task t on t.run_id = f.run_id and t.flow = coalesce(f.read_with, f.name)
      where f.run_id = $1 and t.kind = 'batch' and t.state = 'done' group by f.name, f.read_with`,
    [runId],
  );
  return Object.fromEntries(rows.map(({ flow, ...counts }) => [flow, counts]));
}

/** SQL: whether the flow of the task `t` was cancelled. */
export const isOfCancelledFlow = `exists (
  select 1 from rowfleet.flow f where f.run_id = t.run_id and f.name = t.flow and f.cancelled)`;

/** The flows of a run that were cancelled. */
export async function readCancelledFlows(on: Queryable, runId: string): Promise<string[]> {
  const { rows } = await on.query(
    `select f.name from ${withLeader} where f.run_id = $1 and l.cancelled order by f.ordinal`,
    [runId],
  );
  return rows.map(({ name }: { name: string }) => name);
}

/** What a flow has left to copy: whether it is cut to its end, and batches that are not done. Undefined before it was measured. */
export async function readFlowRest(
  on: Queryable,
  runId: string,
  name: string,
): Promise<{ cutDone: boolean; cancelled: boolean; open: number } | undefined> {
  const { rows } = await on.query(
    `select cut_done as "cutDone", cancelled,
            (select count(*)::int from rowfleet.task t
              where t.run_id = f.run_id and t.flow = f.name and t.kind = 'batch' and t.mode <> 'reload'
                and t.state <> 'done') as open
       from rowfleet.flow f where run_id = $1 and name = $2`,
    [runId, name],
  );
  return rows[0];
}

/** The flows that look values up in what a flow fills, and have rows left to copy. */
export async function readWaiting(on: Queryable, runId: string, name: string): Promise<string[]> {
  const { rows } = await on.query(
    `select f.name from rowfleet.flow f
      where f.run_id = $1 and $2 = any(f.waits_for) and not f.cancelled and (not f.cut_done or exists (
        select from rowfleet.task t where t.run_id = f.run_id and t.flow = f.name and t.kind = 'batch' and t.state <> 'done'))
      order by f.ordinal`,
    [runId, name],
  );
  return rows.map(({ name: waiting }: { name: string }) => waiting);
}

/**
 * Cancels a flow: nothing of it is cut or claimed any more, and what waits or failed will not be done. Attempts under
 * way are given up with their next sign of life, and their batches end as cancelled too.
 */
export async function cancelFlow(on: Queryable, runId: string, name: string): Promise<void> {
  await on.query('update rowfleet.flow set cancelled = true where run_id = $1 and name = $2', [runId, name]);
  await on.query(
    `update rowfleet.task set state = 'cancelled', ended_at = clock_timestamp()
      where run_id = $1 and flow = $2 and kind = 'batch' and state in ('waiting', 'failed')`,
    [runId, name],
  );
}

/** Takes a cancelled flow up again where it was left; tells whether it was cancelled. */
export async function takeUpFlow(on: Queryable, runId: string, name: string): Promise<boolean> {
  const { rowCount } = await on.query(
    'update rowfleet.flow set cancelled = false where run_id = $1 and name = $2 and cancelled',
    [runId, name],
  );
  await on.query(
    `update rowfleet.task set state = 'waiting', failures = 0, not_before = null, ended_at = null
      where run_id = $1 and flow = $2 and kind = 'batch' and state = 'cancelled'`,
    [runId, name],
  );
  return rowCount === 1;
}
