import type { Queryable } from './ledger.ts';

/** What would show that a relation was rewritten or written to. */
export interface RelationMark {
  /** The relation's file; empty for what has none (views, foreign tables, partitioned parents). */
  filenode: string;
  /** Rows inserted, updated and deleted since the server's statistics began. */
  writes: string;
}

/** One source snapshot. */
export interface Epoch {
  epoch: number;
  snapshot: string;
  /** `pg_current_snapshot()` as text: which transactions it sees. */
  visible: string;
  /** By display name: every relation that the plan reads. */
  relations: Record<string, RelationMark>;
}

const columns = 'epoch, snapshot, visible, relations';

/** The epoch whose keeper is believed alive; undefined between two keepers. */
export async function readOpenEpoch(on: Queryable, runId: string): Promise<Epoch | undefined> {
  const { rows } = await on.query(
    `select ${columns} from rowfleet.epoch where run_id = $1 and closed_at is null order by epoch desc limit 1`,
    [runId],
  );
  return rows[0];
}

/**
 * Whether an epoch is still open; if so it stays open until this transaction ends. Whoever opens the next one then
 * sees every batch of this one, or none that commits later.
 */
export async function holdEpoch(on: Queryable, runId: string, epoch: number): Promise<boolean> {
  const { rowCount } = await on.query(
    'select 1 from rowfleet.epoch where run_id = $1 and epoch = $2 and closed_at is null for share',
    [runId, epoch],
  );
  return rowCount === 1;
}

/** Every epoch of a run, the first one first. */
export async function readEpochs(on: Queryable, runId: string): Promise<Epoch[]> {
  const { rows } = await on.query(`select ${columns} from rowfleet.epoch where run_id = $1 order by epoch`, [
    runId,
  ]);
  return rows;
}

/** Opens the next epoch of a run. */
export async function insertEpoch(on: Queryable, runId: string, epoch: Epoch): Promise<void> {
  await on.query(
    'insert into rowfleet.epoch (run_id, epoch, snapshot, visible, relations) values ($1, $2, $3, $4, $5)',
    [runId, epoch.epoch, epoch.snapshot, epoch.visible, JSON.stringify(epoch.relations)],
  );
}

/** Closes the open epochs of a run: their keeper is gone. */
export async function closeEpochs(on: Queryable, runId: string): Promise<void> {
  await on.query(
    'update rowfleet.epoch set closed_at = clock_timestamp() where run_id = $1 and closed_at is null',
    [runId],
  );
}

/** For each flow with done batches, the epochs they were copied under. */
export async function readCopiedEpochs(
  on: Queryable,
  runId: string,
): Promise<{ flow: string; epoch: number }[]> {
  const { rows } = await on.query(
    `select distinct flow, epoch from rowfleet.task
      where run_id = $1 and kind = 'batch' and state = 'done' and epoch is not null`,
    [runId],
  );
  return rows;
}
