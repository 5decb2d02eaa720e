import type { Session } from '../pg/session.ts';
import type { ClaimedTask } from './claim.ts';
import type { RelationMark } from './epochs.ts';
import type { Queryable } from './ledger.ts';

/** What a batch that loads rows again covers, where that is not the blocks of a BatchSpec. */
export type ReloadSpec =
  /** Of the first column of the driving key, as text; `to` is exclusive, null is open. */
  { scope: 'range'; from: string | null; to: string | null } | { scope: 'whole' };

/**
 * Keeps other reloads of the same table away until this transaction ends: all of them, and waits until none is under way;
 * or with `exclusive: false` only those that are more than some blocks, and then does not wait, since a batch has a
 * time limit: false where one is under way.
 */
export async function lockReload(on: Session, relation: string, exclusive: boolean): Promise<boolean> {
  const lock = exclusive ? 'pg_advisory_xact_lock' : 'pg_try_advisory_xact_lock_shared';
  const { rows } = await on.query<{ locked: boolean | '' }>(
    `select ${lock}(hashtextextended('rowfleet.reload ' || $1, 0)) as locked`,
    [relation],
  );
  return rows[0]!.locked !== false;
}

/**
 * Waits until no row of a flow's quarantine is on its way into the target, and lets none begin until this transaction
 * ends. People may go on deciding about the rows: what they send waits for its task.
 */
export async function lockRefused(on: Session, runId: string, flow: string): Promise<void> {
  await on.query(
    `select 1 from rowfleet.quarantine where run_id = $1 and flow = $2 and state <> 'loaded' order by id for key share`,
    [runId, flow],
  );
}

/** A batch as it was loaded before. */
export interface EarlierLoad {
  /** What showed a rewrite of the relations that it read; null where it was never loaded. */
  relations: Record<string, RelationMark> | null;
  /** Rows that it counts; 0 where it was never loaded. */
  rowsIn: number;
  /** Rows of its that went into quarantine. */
  rowsQuarantined: number;
  /** Of those, rows that were loaded later, as the mapping yields them. */
  rowsMended: number;
  /** A range or a whole of its flow was loaded again: that counts rows of this batch. */
  overtaken: boolean;
  /** Its run was copied to the end before, so that the source may be another by now. */
  mended: boolean;
}

/** What is known of the batch that a claim is of, from before. */
export async function readEarlierLoad(on: Queryable, claim: ClaimedTask): Promise<EarlierLoad> {
  const { rows } = await on.query(
    `select e.relations, coalesce(t.rows_in, 0)::float8 as "rowsIn", t.rows_quarantined::float8 as "rowsQuarantined", r.mended,
            (select coalesce(sum(q.rows_in), 0)::float8 from rowfleet.quarantine q
              where q.task_id = t.id and q.state = 'loaded' and q.edited is null) as "rowsMended",
            exists (select from rowfleet.task o
              where o.run_id = t.run_id and o.flow = t.flow and o.kind = 'batch' and o.spec ? 'scope'
                and o.rows_in is not null) as overtaken
       from rowfleet.task t join rowfleet.run r on r.id = t.run_id
       left join rowfleet.epoch e on e.run_id = t.run_id and e.epoch = t.epoch
      where t.id = $1`,
    [claim.taskId],
  );
  return rows[0];
}

/**
 * Lets the batch that loaded a whole flow again stand for all others of the flow, those that are to be loaded again after
 * it too: none of their rows counts any more, but for those in quarantine. Returns how many of these were loaded later,
 * as the mapping yields them.
 */
export async function takeOverBatches(
  on: Queryable,
  claim: ClaimedTask,
  epoch: number | null = null,
): Promise<number> {
  await on.query(
    `update rowfleet.task set rows_in = 0, rows_out = rows_quarantined, outputs = null, epoch = coalesce($4, epoch)
      where run_id = $1 and flow = $2 and kind = 'batch' and id <> $3 and rows_in is not null`,
    [claim.runId, claim.flow, claim.taskId, epoch],
  );
  const { rows } = await on.query(
    `select coalesce(sum(rows_in), 0)::float8 as n from rowfleet.quarantine
      where run_id = $1 and flow = $2 and state = 'loaded' and edited is null`,
    [claim.runId, claim.flow],
  );
  return rows[0].n;
}
