import type { Queryable } from './ledger.ts';
import type { Refusal, RefusalStage } from './quarantine.ts';
import type { Seal } from './seal.ts';
import { openColumn } from './sealed-columns.ts';

/** held: waits for people; sent: a task has it; loaded: it is in the target; discarded: people gave it up. */
export type QuarantineState = 'held' | 'sent' | 'loaded' | 'discarded';

/** A row as the target gets it: column → text as COPY has it. */
export type TargetRow = Record<string, string | null>;

/** What was done to a row in quarantine, without row values. */
export interface QuarantineDeed {
  at: string;
  by: string;
  /** In words: `sent again`, `refused again: …`, `loaded`, `discarded: …`. */
  did: string;
}

/** The values of a row in quarantine. */
export interface QuarantinedValues {
  /** Key column of the driving table, or expression of its grouping → text; null where it has no key. */
  sourceKey: Record<string, string | null> | null;
  /** The driving row; of a group all of its rows. */
  sourceRow: Record<string, unknown> | Record<string, unknown>[] | null;
  /** As they would have been loaded; null where they cannot be computed. */
  targetRows: TargetRow[] | null;
  /** What a person made of them; null where nobody did. */
  edited: TargetRow[] | null;
  /** What a transform threw for it: the error's own words, and the places in the code. */
  trace: string | null;
}

/** One driving row in quarantine. */
export interface QuarantinedRow extends Omit<Refusal, 'side'> {
  id: string;
  runId: string;
  flow: string;
  /** Display name of the target table. */
  relation: string;
  state: QuarantineState;
  revision: number;
  attempt: number;
  taskId: string;
  outputs: number;
  /** Driving rows that it stands for: 1, or those of the group. */
  driving: number;
  /** Target rows that came of it; null before it is loaded. */
  rowsIn: number | null;
  /** Id of the key that its values are encrypted with; null where they are not. */
  sealedWith: string | null;
  /** Undefined where this process has not their key. */
  values?: QuarantinedValues;
  quarantinedAt: Date;
  history: QuarantineDeed[];
}

/** Which rows; all that are given must hold. */
export interface QuarantineFilter {
  runId?: string;
  flow?: string;
  states?: readonly QuarantineState[];
  ids?: readonly string[];
}

/** Rows that were refused for the same reason. */
export interface QuarantineReason {
  stage: RefusalStage;
  code: string;
  constraint: string | null;
  column: string | null;
  /** Display name of the target table. */
  relation: string;
  /** What the latest of them was refused with. */
  message: string;
  rows: number;
}

const condition = `($1::bigint is null or run_id = $1) and ($2::text is null or flow = $2)
  and ($3::text[] is null or state = any($3)) and ($4::bigint[] is null or id = any($4))`;

const parameters = ({ runId, flow, states, ids }: QuarantineFilter) => [
  runId ?? null,
  flow ?? null,
  states ?? null,
  ids ?? null,
];

/** Why rows were refused, most frequent first. */
export async function readReasons(on: Queryable, filter: QuarantineFilter): Promise<QuarantineReason[]> {
  const { rows } = await on.query(
    `select stage, code, constraint_name as "constraint", column_name as "column", relation,
            (array_agg(message order by id desc))[1] as message, count(*)::float8 as rows
       from rowfleet.quarantine where ${condition}
      group by 1, 2, 3, 4, 5 order by rows desc, relation, code`,
    parameters(filter),
  );
  return rows;
}

/** How many rows are in each state. */
export async function countStates(
  on: Queryable,
  filter: QuarantineFilter,
): Promise<Record<QuarantineState, number>> {
  const { rows } = await on.query(
    `select state, count(*)::float8 as n from rowfleet.quarantine where ${condition} group by state`,
    parameters(filter),
  );
  const none = { held: 0, sent: 0, loaded: 0, discarded: 0 };
  return Object.assign(none, Object.fromEntries(rows.map(({ state, n }) => [state, n])));
}

/** The latest run that set rows aside, of a plan or of any; undefined where none did. */
export async function readLatestQuarantine(on: Queryable, plan?: string): Promise<string | undefined> {
  const { rows } = await on.query(
    `select max(q.run_id)::text as id from rowfleet.quarantine q join rowfleet.run r on r.id = q.run_id
      where $1::text is null or r.name = $1`,
    [plan ?? null],
  );
  return rows[0].id ?? undefined;
}

const parsed = (text: string | null) => (text === null ? null : JSON.parse(text));

// biome-ignore lint/suspicious/noExplicitAny: a row as pg returns it.
function toRow(row: any, seal: Seal): QuarantinedRow {
  const { source_key, source_row, target_rows, edited, trace, constraint, column, ...rest } = row;
  const open = (name: Parameters<typeof openColumn>[2], bytes: Buffer | null) =>
    parsed(openColumn(seal, rest, name, bytes));
  const readable = rest.sealedWith === null || rest.sealedWith === seal.id;
  return {
    ...rest,
    ...(constraint === null ? {} : { constraint }),
    ...(column === null ? {} : { column }),
    ...(readable
      ? {
          values: {
            sourceKey: open('source_key', source_key),
            sourceRow: open('source_row', source_row),
            targetRows: open('target_rows', target_rows),
            edited: open('edited', edited),
            trace: openColumn(seal, rest, 'trace', trace),
          },
        }
      : {}),
  };
}

/** Rows in quarantine, the first one first, behind the id `after` (defaults to the first); at most `limit` (defaults to all). */
export async function readQuarantined(
  on: Queryable,
  filter: QuarantineFilter,
  seal: Seal,
  { after, limit }: { after?: string; limit?: number } = {},
): Promise<QuarantinedRow[]> {
  const { rows } = await on.query(
    `select id::text, run_id::text as "runId", flow, relation, state, stage, code, constraint_name as "constraint",
            column_name as "column", message, revision, attempt, task_id::text as "taskId", outputs, driving::float8 as driving,
            rows_in as "rowsIn", sealed_with as "sealedWith", source_key, source_row, target_rows, edited,
            trace, quarantined_at as "quarantinedAt", history
       from rowfleet.quarantine where ${condition} and id > $5 order by id limit $6`,
    [...parameters(filter), after ?? '0', limit ?? null],
  );
  return rows.map((row: unknown) => toRow(row, seal));
}
