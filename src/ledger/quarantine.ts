import type { Session } from '../pg/session.ts';
import type { ExcludedRows } from '../plan/statements/without-rows.ts';
import type { ClaimedTask } from './claim.ts';
import type { Queryable } from './ledger.ts';
import type { Seal } from './seal.ts';
import { closeColumn, openColumn } from './sealed-columns.ts';

/** Where on its way a row was refused: by an expression, by the target's types, or by its constraints. */
export type RefusalStage = 'extract' | 'transform' | 'load' | 'constraint';

/** Why a row was refused, without row values. */
export interface Refusal {
  stage: RefusalStage;
  side: 'source' | 'target';
  /** SQLSTATE, or rowfleet's own. */
  code: string;
  constraint?: string;
  column?: string;
  message: string;
}

/** A driving row that cannot be loaded; of a flow that is cut by key, what has one key: a whole group, say. */
export interface RefusedRow extends Refusal {
  /** Index into the flow's leaves; 0 for what is told by its key. */
  leaf: number;
  /** Its ctid, as text; null for what is told by its key. */
  tid: string | null;
  /** Driving rows that it stands for: 1, or those of the group. */
  driving: number;
  /** Target rows that it yields, as far as its join and where can be computed; else 0. */
  outputs: number;
  /** JSON object: key column of the driving table, or expression of its grouping → text; null where it has no key. */
  sourceKey: string | null;
  /** JSON object: the driving row; of a group an array of its rows; null where it cannot be read or kept. */
  sourceRow: string | null;
  /** JSON array of objects, target column → text as COPY has it; null where they cannot be computed or kept. */
  targetRows: string | null;
  /** What a transform threw, in full; null where none did. */
  trace: string | null;
}

/** Quarantines a row in the transaction of its batch. */
export async function insertRefused(
  on: Session,
  claim: ClaimedTask,
  row: RefusedRow,
  seal: Seal,
): Promise<void> {
  const owner = { runId: claim.runId, flow: claim.flow! };
  await on.query(
    `insert into rowfleet.quarantine
       (run_id, task_id, attempt, revision, flow, relation, leaf, tid, outputs, driving, stage, code, constraint_name, column_name,
        message, sealed_with, source_key, source_row, target_rows, trace)
     select $1, $2, $3, r.revision, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19
       from rowfleet.run r where r.id = $1`,
    [
      ...[claim.runId, claim.taskId, claim.number, claim.flow, claim.relation],
      ...[row.leaf, row.tid, row.outputs, row.driving],
      ...[row.stage, row.code, row.constraint ?? null, row.column ?? null],
      ...[row.message, seal.id],
      closeColumn(seal, owner, 'source_key', row.sourceKey),
      closeColumn(seal, owner, 'source_row', row.sourceRow),
      closeColumn(seal, owner, 'target_rows', row.targetRows),
      closeColumn(seal, owner, 'trace', row.trace),
    ],
  );
}

/** Rows in quarantine: those that are not in the target, whatever people decided about them. */
export async function countQuarantined(on: Queryable, runId: string): Promise<number> {
  const { rows } = await on.query(
    `select count(*)::float8 as n from rowfleet.quarantine where run_id = $1 and state <> 'loaded'`,
    [runId],
  );
  return rows[0].n;
}

/** What a flow's limit is judged by. */
export interface QuarantineCounts {
  /** Of the whole run. */
  run: number;
  /** Of the flow. */
  flow: number;
  /** Rows that the flow is expected to have, or has loaded where those are more. */
  flowRows: number;
}

/** Counts while no other batch of the run may add to the quarantine, until this transaction ends. */
export async function lockQuarantine(on: Session, runId: string, flow: string): Promise<QuarantineCounts> {
  await on.query(`select pg_advisory_xact_lock(hashtextextended('rowfleet.quarantine ' || $1, 0))`, [runId]);
  const { rows } = await on.query<QuarantineCounts>(
    `select (select count(*)::float8 from rowfleet.quarantine where run_id = $1 and state <> 'loaded') as run,
            (select count(*)::float8 from rowfleet.quarantine where run_id = $1 and flow = $2 and state <> 'loaded') as flow,
            greatest(estimated_rows, (select coalesce(sum(rows_out), 0) from rowfleet.task t
              where t.run_id = $1 and t.flow = $2 and t.state = 'done'))::float8 as "flowRows"
       from rowfleet.flow where run_id = $1 and name = $2`,
    [runId, flow],
  );
  return rows[0] ?? { run: 0, flow: 0, flowRows: 0 };
}

/**
 * For each flow, the driving rows that its mapping is not held against: in quarantine, discarded, or loaded as a person
 * edited them. Throws SEAL_KEY_MISSING where their keys are encrypted and this process has not the key; but a row that
 * was given up, as when the key is lost, is left out where it stood: if it moved since, the checks find that.
 */
export async function readExcludedRows(
  on: Queryable,
  runId: string,
  seal: Seal,
): Promise<Record<string, ExcludedRows>> {
  const { rows } = await on.query(
    `select flow, leaf, tid, driving::float8 as driving, state, sealed_with, source_key from rowfleet.quarantine
      where run_id = $1 and (state <> 'loaded' or edited is not null) order by id`,
    [runId],
  );
  const excluded: Record<string, ExcludedRows> = {};
  for (const { flow, leaf, tid, driving, state, sealed_with, source_key } of rows) {
    excluded[flow] ??= { keys: [], tids: [], driving: 0 };
    excluded[flow].driving += driving;
    if (state === 'discarded' && tid !== null && sealed_with !== null && sealed_with !== seal.id) {
      excluded[flow].tids.push({ leaf, tid });
      continue;
    }
    const key = openColumn(seal, { runId, flow, sealedWith: sealed_with }, 'source_key', source_key);
    if (key === null) excluded[flow].tids.push({ leaf, tid });
    else excluded[flow].keys.push(JSON.parse(key));
  }
  return excluded;
}
