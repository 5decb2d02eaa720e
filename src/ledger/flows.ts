import type { Queryable } from './ledger.ts';

/** Where cutting a flow into batches stands. Block numbers are PostgreSQL's 8 kB pages. */
export interface CutState {
  /** Blocks of each leaf when the copy began, in the flow's leaf order. */
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
}

/** Writes the flows of a run, once, with their estimates. */
export async function insertFlow(
  on: Queryable,
  runId: string,
  ordinal: number,
  flow: FlowRow & { estimatedRows: number; targetRowsBefore: number },
): Promise<void> {
  await on.query(
    `insert into rowfleet.flow
       (run_id, name, ordinal, target, target_rows_before, estimated_rows, estimated_bytes, cut, cut_done)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing`,
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
    ],
  );
}

/** The flows of a run, largest first. */
export async function readFlows(on: Queryable, runId: string): Promise<FlowRow[]> {
  const { rows } = await on.query(
    `select name, target, estimated_bytes::float8 as "estimatedBytes", cut, cut_done as "cutDone"
       from rowfleet.flow where run_id = $1 order by estimated_bytes desc, ordinal`,
    [runId],
  );
  return rows;
}

/** Starts flows again from nothing: their batches go, with what these put into quarantine, and cutting begins anew. The caller empties the target. */
export async function restartFlows(on: Queryable, runId: string, names: string[]): Promise<void> {
  await on.query(
    `delete from rowfleet.task where run_id = $1 and kind in ('batch', 'mend') and flow = any($2)`,
    [runId, names],
  );
  await on.query(
    `update rowfleet.flow set cut_done = false, cut = cut || '{"leaf": 0, "nextBlock": 0}'
      where run_id = $1 and name = any($2)`,
    [runId, names],
  );
}

/** Rows that each target table held before the run, by display name. */
export async function readRowsBefore(on: Queryable, runId: string): Promise<Record<string, number>> {
  const { rows } = await on.query(
    `select target, max(target_rows_before)::float8 as before from rowfleet.flow where run_id = $1 group by target`,
    [runId],
  );
  return Object.fromEntries(rows.map((row: { target: string; before: number }) => [row.target, row.before]));
}

/** What the batches of each flow yielded, loaded and quarantined: rowsOut = rowsIn + rowsQuarantined. */
export async function readLoaded(
  on: Queryable,
  runId: string,
): Promise<Record<string, { rowsOut: number; rowsIn: number; rowsQuarantined: number }>> {
  const { rows } = await on.query(
    `select flow, coalesce(sum(rows_out), 0)::float8 as "rowsOut", coalesce(sum(rows_in), 0)::float8 as "rowsIn",
            sum(rows_quarantined)::float8 as "rowsQuarantined"
       from rowfleet.task where run_id = $1 and kind = 'batch' and state = 'done' group by flow`,
    [runId],
  );
  return Object.fromEntries(rows.map(({ flow, ...counts }) => [flow, counts]));
}
