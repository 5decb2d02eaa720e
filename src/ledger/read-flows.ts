import type { Session } from '../pg/session.ts';
import { mendedOf, ofFlow } from './flows.ts';

/** What the ledger says about the copying of one flow. `recent*` are amounts within the asked window. */
export interface FlowFigures {
  name: string;
  target: string;
  estimatedRows: number;
  /** No further batches will be cut. */
  cutDone: boolean;
  /** People want no more rows of it. */
  cancelled: boolean;
  /** It is read with another flow, whose batches are its own. */
  follows: boolean;
  /** Flows that are not copied yet, and have to be before: its rows are looked up in what they fill. */
  waitsFor: string[];
  /** Blocks of the driving table in all, and those in batches that are done. Both 0 where it has no blocks. */
  blocks: number;
  blocksDone: number;
  batches: { waiting: number; running: number; done: number; failed: number; cancelled: number };
  /** Rows that the source yielded in batches that are done. */
  rowsOut: number;
  /** Rows that the target took in batches that are done, and of refused rows that were sent again. */
  rowsIn: number;
  bytes: number;
  bytesInFlight: number;
  recentRows: number;
  recentBytes: number;
  recentBytesInFlight: number;
  /** Seconds since the flow's first batch began; null before it did. */
  startedSecondsAgo: number | null;
  /** Seconds in which at least one of its batches that are done was under way; a pause of the run is none. */
  copySeconds: number;
}

/*
 * A batch counts in the window by the part of its time that lies there, as if its rows had flowed evenly:
 * otherwise a rate over batches of several seconds would jump at each commit.
 */
const flowsStatement = `
with flow as (
  select f.name, f.target, f.ordinal, f.estimated_rows, l.cut_done, l.cancelled as is_cancelled, l.cut -> 'blocks' as leaves,
    f.waits_for, f.read_with, coalesce(f.read_with, f.name) as leader, f.read_with <> f.name as follows,
    (select coalesce(sum(blocks::bigint), 0) from jsonb_array_elements_text(l.cut -> 'blocks') as leaf (blocks)) as blocks,
    (select coalesce(sum(blocks::bigint), 0) from jsonb_array_elements_text(l.cut -> 'blocks')
       with ordinality as leaf (blocks, place) where place <= (l.cut ->> 'leaf')::int)
      + coalesce((l.cut ->> 'nextBlock')::bigint, 0) as blocks_cut
  from rowfleet.flow f join rowfleet.flow l on l.run_id = f.run_id and l.name = coalesce(f.read_with, f.name)
  where f.run_id = $1
), figures as (
  select f.name as flow,
    count(*) filter (where t.state = 'waiting') as waiting,
    count(*) filter (where t.state = 'running') as running,
    count(*) filter (where t.state = 'done') as done,
    count(*) filter (where t.state = 'failed') as failed,
    count(*) filter (where t.state = 'cancelled') as cancelled,
    sum(coalesce((t.spec ->> 'toBlock')::bigint, (f.leaves ->> (t.spec ->> 'leaf')::int)::bigint)
      - (t.spec ->> 'fromBlock')::bigint) filter (where t.state <> 'done') as blocks_open,
    sum(${ofFlow('rows_out', 'rowsOut')}) filter (where t.state = 'done') as rows_out,
    sum(${ofFlow('rows_in', 'rowsIn')}) filter (where t.state = 'done') as rows_in,
    sum(t.bytes) filter (where t.state = 'done' and f.follows is not true) as bytes,
    sum(greatest(${ofFlow('rows_in', 'rowsIn')}, 0) * w.share) filter (where t.state = 'done') as recent_rows,
    sum(t.bytes * w.share) filter (where t.state = 'done' and f.follows is not true) as recent_bytes,
    min(w.started_at) filter (where t.state = 'done') as first_start,
    range_agg(tstzrange(w.started_at, t.ended_at)) filter (where t.state = 'done') as spans
  from rowfleet.task t
  join flow f on f.leader = t.flow
  cross join lateral (
    select greatest(0, least(1, extract(epoch from t.ended_at - (statement_timestamp() - make_interval(secs => $2)))::float8
      / greatest(t.seconds, 0.001))) as share,
      t.ended_at - make_interval(secs => greatest(t.seconds, 0.001)) as started_at
  ) w
  where t.run_id = $1 and t.kind = 'batch'
  group by f.name
), flight as (
  select t.flow, sum(a.bytes) as bytes, min(a.started_at) as first_start,
    sum(a.bytes * least(1, $2 / greatest(extract(epoch from statement_timestamp() - a.started_at)::float8, 0.001)))
      as recent_bytes
  from rowfleet.attempt a join rowfleet.task t on t.id = a.task_id
  where a.run_id = $1 and a.ended_at is null and t.kind = 'batch' and t.state = 'running'
  group by t.flow
)
select f.name, f.target, f.estimated_rows, f.cut_done, f.is_cancelled, f.follows, f.blocks,
  array(select o.name from flow o left join figures og on og.flow = o.name
    where o.name = any(f.waits_for) and not o.is_cancelled
      and (not o.cut_done or coalesce(og.waiting + og.running + og.failed, 0) > 0)
    order by o.ordinal) as waits_for, f.blocks_cut - coalesce(g.blocks_open, 0) as blocks_done,
  g.*, h.bytes as flight_bytes, h.recent_bytes as flight_recent_bytes,
  extract(epoch from statement_timestamp() - least(g.first_start, h.first_start))::float8 as started_ago,
  (select sum(extract(epoch from upper(span) - lower(span))) from unnest(g.spans) span)::float8 as copy_seconds,
  (select sum(${mendedOf}) from rowfleet.quarantine q
    where q.run_id = $1 and q.flow = f.leader and q.state = 'loaded') as rows_mended
from flow f
left join figures g on g.flow = f.name
left join flight h on h.flow = f.name
order by f.ordinal`;

/** The flows of a run in plan order, with what was copied in all and in the last `windowSeconds`. */
export async function readFlowFigures(
  session: Session,
  runId: string,
  windowSeconds: number,
): Promise<FlowFigures[]> {
  const { rows } = await session.query(flowsStatement, [runId, windowSeconds]);
  return rows.map((row) => ({
    name: row.name,
    target: row.target,
    estimatedRows: Number(row.estimated_rows),
    cutDone: row.cut_done,
    cancelled: row.is_cancelled,
    follows: row.follows === true,
    waitsFor: row.waits_for,
    blocks: Number(row.blocks),
    blocksDone: Math.max(0, Number(row.blocks_done)),
    batches: {
      waiting: Number(row.waiting ?? 0),
      running: Number(row.running ?? 0),
      done: Number(row.done ?? 0),
      failed: Number(row.failed ?? 0),
      cancelled: Number(row.cancelled ?? 0),
    },
    rowsOut: Number(row.rows_out ?? 0),
    rowsIn: Number(row.rows_in ?? 0) + Number(row.rows_mended ?? 0),
    bytes: Number(row.bytes ?? 0),
    bytesInFlight: Number(row.flight_bytes ?? 0),
    recentRows: Number(row.recent_rows ?? 0),
    recentBytes: Number(row.recent_bytes ?? 0),
    recentBytesInFlight: Number(row.flight_recent_bytes ?? 0),
    startedSecondsAgo: row.started_ago === null ? null : Math.max(0, row.started_ago),
    copySeconds: row.copy_seconds ?? 0,
  }));
}

/** Seconds in which at least one batch of the run that is done was under way. */
export async function readCopySeconds(session: Session, runId: string): Promise<number> {
  const { rows } = await session.query<{ seconds: number }>(
    `select coalesce(sum(extract(epoch from upper(span) - lower(span))), 0)::float8 as seconds
     from (
       select range_agg(tstzrange(ended_at - make_interval(secs => greatest(seconds, 0.001)), ended_at)) as spans
       from rowfleet.task where run_id = $1 and kind = 'batch' and state = 'done'
     ) batch, unnest(spans) span`,
    [runId],
  );
  return rows[0]!.seconds;
}
