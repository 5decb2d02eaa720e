import { sqlState } from '../pg/errors.ts';
import type { Session } from '../pg/session.ts';
import { sqlStates } from '../pg/sql-states.ts';
import type { UnitKey } from '../plan/statements/key-units.ts';
import type { ClaimedTask } from './claim.ts';
import { type Tally, TaskLocked } from './fence.ts';
import { deed, type KeptRow, type MendSpec } from './mend.ts';
import type { Refusal, RefusedRow } from './quarantine.ts';
import type { TargetRow } from './read-quarantine.ts';
import type { Seal } from './seal.ts';
import { closeColumn, openColumn } from './sealed-columns.ts';

/** A row that a mend task is to load. */
export interface SentRow extends KeptRow {
  leaf: number;
  /** Where it stood when it was refused; null for what is told by its key. */
  tid: string | null;
  sourceKey: UnitKey | null;
  /** The driving row, or the rows of the group, as JSON text, as the source had it. */
  sourceRow: string | null;
  /** What is to be loaded instead of what the mapping yields; null for that. */
  edited: TargetRow[] | null;
}

/**
 * The rows of a task in one of the two ways that it may have them, locked: those that it still has to load, or those
 * that it is to take back. Throws TaskLocked where a reload has them, and SEAL_KEY_MISSING.
 */
async function lockRows(
  on: Session,
  claim: ClaimedTask,
  seal: Seal,
  { ids, condition }: { ids: string[]; condition: string },
): Promise<SentRow[]> {
  const locked = on.query(
    `select id::text, run_id::text as "runId", flow, sealed_with as "sealedWith", leaf, tid, source_key, source_row, edited
       from rowfleet.quarantine where run_id = $1 and id = any($2) and ${condition} order by id for update nowait`,
    [claim.runId, ids],
  );
  const { rows } = await locked.catch((error) => {
    throw sqlState(error) === sqlStates.lockNotAvailable
      ? new TaskLocked(claim.taskId, `rows of ${claim.relation} are just being loaded again`)
      : error;
  });
  return rows.map(({ source_key, source_row, edited, ...row }) => {
    const key = openColumn(seal, row, 'source_key', source_key);
    const made = openColumn(seal, row, 'edited', edited);
    return {
      ...row,
      sourceKey: key === null ? null : JSON.parse(key),
      sourceRow: openColumn(seal, row, 'source_row', source_row),
      edited: made === null ? null : JSON.parse(made),
    };
  });
}

/** The rows that a mend task still has to load, locked. Throws TaskLocked where a reload has them, and SEAL_KEY_MISSING. */
export const lockSent = (on: Session, claim: ClaimedTask, seal: Seal): Promise<SentRow[]> =>
  lockRows(on, claim, seal, { ids: (claim.spec as MendSpec).quarantine, condition: `state = 'sent'` });

/** The rows whose edits a mend task has to take back, locked as by `lockSent`. */
export const lockEdited = (on: Session, claim: ClaimedTask, seal: Seal): Promise<SentRow[]> =>
  lockRows(on, claim, seal, {
    ids: (claim.spec as MendSpec).takeBack ?? [],
    condition: `state = 'loaded' and edited is not null`,
  });

/** Records that a row stands in the target as edited no more. */
export async function forgetEdit(on: Session, row: SentRow): Promise<void> {
  await on.query('update rowfleet.quarantine set edited = null, rows_in = null where id = $1', [row.id]);
}

/** Adds to a row's history what was found out about it. */
export async function noteOf(on: Session, claim: ClaimedTask, row: SentRow, did: string): Promise<void> {
  await on.query(`update rowfleet.quarantine set history = ${deed('$2', '$3')} where id = $1`, [
    ...[row.id, `task ${claim.taskId}`, did],
  ]);
}

/** Records, in the transaction that loaded it, that a row is in the target, and how it came there. */
export async function settleLoaded(
  on: Session,
  claim: ClaimedTask,
  row: SentRow,
  { rowsIn, how, outputs }: { rowsIn: number; how: string; outputs?: Tally['outputs'] },
): Promise<void> {
  await on.query(
    `update rowfleet.quarantine
        set state = 'loaded', rows_in = $2, outputs_in = $5, settled_at = clock_timestamp(), settled_by = $3,
            history = ${deed('$3', '$4')}
      where id = $1`,
    [row.id, rowsIn, `task ${claim.taskId}`, how, outputs === undefined ? null : JSON.stringify(outputs)],
  );
}

/** Takes a row back that was refused once more, with the new reason. */
export async function holdAgain(
  on: Session,
  claim: ClaimedTask,
  row: SentRow,
  refusal: Refusal,
): Promise<void> {
  await on.query(
    `update rowfleet.quarantine q
        set state = 'held', stage = $2, code = $3, constraint_name = $4, column_name = $5, message = $6,
            revision = r.revision, history = ${deed('$7', '$8')}
       from rowfleet.run r where r.id = q.run_id and q.id = $1`,
    [
      ...[row.id, refusal.stage, refusal.code, refusal.constraint ?? null, refusal.column ?? null],
      ...[refusal.message, `task ${claim.taskId}`, `refused again: ${refusal.message}`],
    ],
  );
}

/** What a driving row was when it was tried again. */
export type FoundRow = Omit<RefusedRow, keyof Refusal | 'sourceKey'>;

/** Keeps what a refused row is by now: people mend what they see. */
export async function keepFound(on: Session, row: SentRow, found: FoundRow, seal: Seal): Promise<void> {
  const key = row.sourceKey === null ? null : JSON.stringify(row.sourceKey);
  await on.query(
    `update rowfleet.quarantine
        set leaf = $2, tid = $3, outputs = $4, driving = $5, sealed_with = $6, source_key = $7, source_row = $8,
            target_rows = $9, trace = $10
      where id = $1`,
    [
      ...[row.id, found.leaf, found.tid, found.outputs, found.driving, seal.id],
      closeColumn(seal, row, 'source_key', key),
      closeColumn(seal, row, 'source_row', found.sourceRow),
      closeColumn(seal, row, 'target_rows', found.targetRows),
      closeColumn(seal, row, 'trace', found.trace),
    ],
  );
}
