import type { CutState, FlowRow } from '../ledger/flows.ts';
import { display, ident, qualified } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';
import { isCutByKey, leaderOf, rangeColumnOf, selectRows } from '../plan/statements/select.ts';

/** A flow as measured before its first batch. */
export type Estimate = Omit<FlowRow, 'cancelled' | 'waitsFor'> & { estimatedRows: number; bounds: string[] };

/** The planner's row estimate: right in magnitude also for tables that were never analyzed. */
async function plannedRows(source: Session, select: string): Promise<number> {
  const { rows } = await source.query(`explain (format json) ${select}`);
  return rows[0]['QUERY PLAN'][0].Plan['Plan Rows'];
}

interface Size {
  /** Of each leaf. */
  blocks: number[];
  bytes: number;
}

async function sizeOf(source: Session, { leaves }: ResolvedFlow): Promise<Size> {
  const { rows } = await source.query<{ bytes: number; block: number }>(
    `select pg_catalog.pg_relation_size(l.oid::oid)::float8 as bytes,
            pg_catalog.current_setting('block_size')::float8 as block
       from pg_catalog.unnest($1::pg_catalog.int8[]) with ordinality as l (oid, n) order by l.n`,
    [leaves.map((leaf) => leaf.oid)],
  );
  return {
    blocks: rows.map(({ bytes, block }, i) => (leaves[i]!.hasCtid ? Math.ceil(bytes / block) : 0)),
    bytes: rows.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** Bytes of the driving table between two bounds of a flow that is cut by key, and how many such ranges it may have. */
const rangeBytes = 4 * 1024 * 1024;
/** The same where rows are updated, and locked, while others use them. */
const updatedBytes = 256 * 1024;
const mostRanges = 50_000;
/** Bytes of a table that are read to find its bounds. */
const sampledBytes = 200 * 1024 * 1024;

/** Values that part the driving table into ranges of about equal size, by the column that the flow is cut by. */
async function findBounds(source: Session, flow: ResolvedFlow, { bytes }: Size): Promise<string[]> {
  const { backfill, driving, leaves, only } = flow;
  const column = rangeColumnOf(flow);
  const each = backfill === undefined ? rangeBytes : updatedBytes;
  const ranges = Math.min(mostRanges, Math.ceil(bytes / each));
  if (column === undefined || ranges < 2) return [];
  const sampled = leaves.every((leaf) => leaf.hasCtid) && bytes > sampledBytes;
  const sample = sampled ? `tablesample system (${(100 * sampledBytes) / bytes})` : '';
  const shares = Array.from({ length: ranges - 1 }, (_, i) => (i + 1) / ranges);
  const { rows } = await source.query<{ bound: string }>(
    `select b.bound::pg_catalog.text as bound from (
       select pg_catalog.percentile_disc($1::pg_catalog.float8[]) within group (order by d.${ident(column)}) as bounds
         from ${only ? 'only ' : ''}${qualified(driving)} as d ${sample}) as found
      cross join lateral pg_catalog.unnest(found.bounds) with ordinality as b (bound, n) where b.bound is not null
      group by b.bound order by pg_catalog.min(b.n)`,
    [shares],
  );
  return rows.map(({ bound }) => bound);
}

/** Where cutting begins. */
async function cutOf(
  source: Session,
  flow: ResolvedFlow,
  size: Size,
  rows: number,
): Promise<{ cut: CutState; bounds: string[] }> {
  const bounds = await findBounds(source, flow, size);
  const blocks = isCutByKey(flow) ? [bounds.length + 1] : size.blocks;
  const all = blocks.reduce((sum, n) => sum + n, 0);
  const rowsPerBlock = Math.max(1, rows / Math.max(1, all));
  return { cut: { blocks, rowsPerBlock, leaf: 0, nextBlock: 0 }, bounds };
}

/**
 * Measures a flow's driving table for cutting and for the ETA: blocks of each leaf, rows a block, rows and
 * bytes in all. `source` is in a read-only transaction with the plan's search_path.
 */
export async function estimateFlow(source: Session, flow: ResolvedFlow): Promise<Estimate> {
  const size = await sizeOf(source, flow);
  const drivingRows = await plannedRows(source, `select from ${qualified(flow.driving)}`);
  // A planner that has to guess at a join may guess a hundredfold; the batches soon tell better.
  const planned = await plannedRows(source, selectRows(flow, []));
  return {
    name: flow.name,
    target: display(flow.target),
    estimatedRows: Math.min(planned, Math.max(drivingRows, 1)),
    estimatedBytes: size.bytes,
    ...(await cutOf(source, flow, size, drivingRows)),
    // Of flows that are read together one is cut.
    cutDone: flow.leaves.length === 0 || leaderOf(flow) !== flow.name,
    readWith: flow.readWith?.leader ?? null,
  };
}
