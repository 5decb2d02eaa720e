import type { FlowRow } from '../ledger/flows.ts';
import { display, qualified } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { fromClause, whereClause } from '../plan/select.ts';
import type { ResolvedFlow } from '../plan/types.ts';

/** A flow as measured before its first batch. */
export type Estimate = Omit<FlowRow, 'cancelled'> & { estimatedRows: number };

/** The planner's row estimate: right in magnitude also for tables that were never analyzed. */
async function plannedRows(source: Session, select: string): Promise<number> {
  const { rows } = await source.query(`explain (format json) ${select}`);
  return rows[0]['QUERY PLAN'][0].Plan['Plan Rows'];
}

/**
 * Measures a flow's driving table for cutting and for the ETA: blocks of each leaf, rows a block, rows and
 * bytes in all. `source` is in a read-only transaction with the plan's search_path.
 */
export async function estimateFlow(source: Session, flow: ResolvedFlow): Promise<Estimate> {
  const { rows } = await source.query(
    `select pg_catalog.pg_relation_size(l.oid::oid)::float8 as bytes,
            pg_catalog.current_setting('block_size')::float8 as block
       from pg_catalog.unnest($1::pg_catalog.int8[]) with ordinality as l (oid, n) order by l.n`,
    [flow.leaves.map((leaf) => leaf.oid)],
  );
  const leaves: { bytes: number; block: number }[] = rows;
  const blocks = leaves.map((leaf, i) => (flow.leaves[i]!.hasCtid ? Math.ceil(leaf.bytes / leaf.block) : 0));
  const drivingRows = await plannedRows(source, `select from ${qualified(flow.driving)}`);
  // A planner that has to guess at a join may guess a hundredfold; the batches soon tell better.
  const planned = await plannedRows(source, `select ${fromClause(flow)} ${whereClause(flow)}`);
  const estimatedRows = Math.min(planned, Math.max(drivingRows, 1));
  const totalBlocks = blocks.reduce((sum, n) => sum + n, 0);
  return {
    name: flow.name,
    target: display(flow.target),
    estimatedRows,
    estimatedBytes: leaves.reduce((sum, leaf) => sum + leaf.bytes, 0),
    cut: {
      blocks,
      rowsPerBlock: Math.max(1, drivingRows / Math.max(1, totalBlocks)),
      leaf: 0,
      nextBlock: 0,
    },
    cutDone: flow.leaves.length === 0,
  };
}
