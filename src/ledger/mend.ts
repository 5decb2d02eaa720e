import { usageError } from '../errors.ts';
import { sqlState } from '../pg/errors.ts';
import type { Session } from '../pg/session.ts';
import { sqlStates } from '../pg/sql-states.ts';
import type { ClaimedTask } from './claim.ts';
import type { Queryable } from './ledger.ts';
import type { QuarantineState, TargetRow } from './read-quarantine.ts';
import type { Seal } from './seal.ts';
import { closeColumnLike, openColumn } from './sealed-columns.ts';

/** Which rows a mend task sends again. */
export interface MendSpec {
  flow: string;
  /** Ids of the quarantine. */
  quarantine: string[];
  /** Ids of rows that are loaded as edited and are to be what the plan yields; they are `loaded` until they are. */
  takeBack?: string[];
}

/** Rows that one transaction sends again: few enough for the time that a batch gets. */
const mostAtOnce = 100;

/** SQL of one more entry of a row's history, from SQL of who did it and of what. */
export const deed = (by: string, did: string): string =>
  `history || jsonb_build_object('at', clock_timestamp(), 'by', ${by}::text, 'did', ${did}::text)`;

async function insertMend(on: Queryable, runId: string, relation: string, spec: MendSpec): Promise<void> {
  await on.query(
    `insert into rowfleet.task (run_id, kind, flow, relation, spec) values ($1, 'mend', $2, $3, $4)`,
    [runId, spec.flow, relation, JSON.stringify(spec)],
  );
}

/** Marks rows as sent, without an edit of theirs, and writes the tasks that send them. The caller has them locked. */
export async function sendRows(
  on: Queryable,
  runId: string,
  flow: { name: string; target: string },
  ids: string[],
  actor: string,
): Promise<void> {
  await on.query(
    `update rowfleet.quarantine
        set state = 'sent', edited = null, settled_at = null, settled_by = null, history = ${deed('$2', `'sent again'`)}
      where id = any($1)`,
    [ids, actor],
  );
  for (let from = 0; from < ids.length; from += mostAtOnce) {
    await insertMend(on, runId, flow.target, {
      flow: flow.name,
      quarantine: ids.slice(from, from + mostAtOnce),
    });
  }
}

/** Writes the task by which rows that are loaded as edited become what the plan yields. The caller has them locked. */
export async function sendTakeBacks(
  on: Queryable,
  runId: string,
  flow: { name: string; target: string },
  ids: string[],
  actor: string,
): Promise<void> {
  await on.query(
    `update rowfleet.quarantine set history = ${deed('$2', `'the edit is to be taken back'`)} where id = any($1)`,
    [ids, actor],
  );
  await insertMend(on, runId, flow.target, { flow: flow.name, quarantine: [], takeBack: ids });
}

/** A row that is to be changed: enough to keep its values as they are kept. */
export interface KeptRow {
  id: string;
  runId: string;
  flow: string;
  sealedWith: string | null;
}

/** Writes down what a person made of a row that is sent. Throws SEAL_KEY_MISSING. */
export async function setEdited(on: Queryable, row: KeptRow, rows: TargetRow[], seal: Seal): Promise<void> {
  await on.query('update rowfleet.quarantine set edited = $2 where id = $1', [
    row.id,
    closeColumnLike(seal, row, 'edited', JSON.stringify(rows)),
  ]);
}

/** Gives rows up, with the reason in words. They are kept. */
export async function discardRows(
  on: Queryable,
  ids: string[],
  actor: string,
  reason: string,
): Promise<void> {
  await on.query(
    `update rowfleet.quarantine
        set state = 'discarded', settled_at = clock_timestamp(), settled_by = $2, history = ${deed('$2', '$3')}
      where id = any($1)`,
    [ids, actor, `discarded: ${reason}`],
  );
}

/** SQL of a row's state; what was sent by a task that failed, or was cancelled, is held again. */
const stateNow = `case when state = 'sent' and not exists (
    select from rowfleet.task t where t.run_id = q.run_id and t.kind = 'mend' and t.state in ('waiting', 'running')
       and t.spec -> 'quarantine' ? q.id::text) then 'held' else state end`;

/** SQL of whether a row is loaded as edited, and nobody is about to take that back. */
const asEdited = `state = 'loaded' and edited is not null and not exists (
    select from rowfleet.task t where t.run_id = q.run_id and t.kind = 'mend' and t.state in ('waiting', 'running')
       and t.spec -> 'takeBack' ? q.id::text)`;

/** A row that was chosen. */
export type ChosenRow = KeptRow & { state: QuarantineState; asEdited: boolean };

/**
 * Ids and states of rows of a run: those named, or those held. But for those on their way into the target they are kept
 * from others until this transaction ends. Never waits: throws ROWS_BUSY.
 */
export async function lockQuarantined(
  on: Session,
  runId: string,
  { ids, flow }: { ids?: string[]; flow?: string },
): Promise<ChosenRow[]> {
  const { rows } = await on.query<ChosenRow>(
    `select id::text, run_id::text as "runId", flow, sealed_with as "sealedWith", ${stateNow} as state, ${asEdited} as "asEdited"
       from rowfleet.quarantine q
      where run_id = $1 and ($2::bigint[] is null or id = any($2)) and ($3::text is null or flow = $3)
        and ($2::bigint[] is not null or ${stateNow} = 'held')
      order by id`,
    [runId, ids ?? null, flow ?? null],
  );
  // A reload shares its lock with this one; an attempt whose task was cancelled does not.
  const locked = on.query(
    'select 1 from rowfleet.quarantine where id = any($1) order by id for no key update nowait',
    [rows.filter(({ state }) => state !== 'sent').map(({ id }) => id)],
  );
  await locked.catch((error) => {
    if (sqlState(error) !== sqlStates.lockNotAvailable) throw error;
    throw usageError(
      'ROWS_BUSY',
      `some of these rows of run ${runId} are just being loaded`,
      'try again in a moment, when that has ended',
    );
  });
  return rows;
}

/** What people edited and loaded, by flow: what the mapping yields for those rows does not count. Throws SEAL_KEY_MISSING. */
export async function readEditedRows(
  on: Queryable,
  runId: string,
  seal: Seal,
): Promise<Record<string, TargetRow[]>> {
  const { rows } = await on.query(
    `select flow, sealed_with as "sealedWith", edited from rowfleet.quarantine
      where run_id = $1 and state = 'loaded' and edited is not null order by id`,
    [runId],
  );
  const byFlow: Record<string, TargetRow[]> = {};
  for (const { flow, sealedWith, edited } of rows) {
    byFlow[flow] ??= [];
    byFlow[flow].push(...JSON.parse(openColumn(seal, { runId, flow, sealedWith }, 'edited', edited)!));
  }
  return byFlow;
}

/** Whether rows that were sent before those of a task are still on their way. */
export async function hasEarlierMend(on: Queryable, claim: ClaimedTask): Promise<boolean> {
  const { rowCount } = await on.query(
    `select 1 from rowfleet.task where run_id = $1 and kind = 'mend' and id < $2 and state in ('waiting', 'running') limit 1`,
    [claim.runId, claim.taskId],
  );
  return rowCount === 1;
}

/** How many tasks that send refused rows again are not done. */
export async function countOpenMends(on: Queryable, runId: string): Promise<number> {
  const { rows } = await on.query(
    `select count(*)::int as n from rowfleet.task
      where run_id = $1 and kind = 'mend' and state in ('waiting', 'running')`,
    [runId],
  );
  return rows[0].n;
}
