import { RowfleetError } from '../errors.ts';
import type { ResolvedPlan } from '../plan/resolved-plan.ts';
import type { Queryable } from './ledger.ts';
import type { RecordedError } from './recorded-error.ts';
import type { RunSettings } from './settings.ts';

export type RunState =
  | 'running'
  | 'stopped'
  | 'cancelling'
  | 'failed'
  | 'cancelled'
  | 'findings'
  | 'quarantined'
  | 'verified';
export type Phase = 'preflight' | 'prepare' | 'copy' | 'index' | 'verify' | 'constrain' | 'finish';
export type RunKind = 'migrate' | 'validate';

/** States of a run that can go on. */
export const unfinishedStates: readonly RunState[] = [
  'running',
  'stopped',
  'failed',
  'findings',
  'quarantined',
  'cancelling',
];

export interface Run {
  id: string;
  name: string;
  kind: RunKind;
  plan: ResolvedPlan;
  planHash: string;
  planFile: string;
  /** Of its plan: 1 until that is revised. */
  revision: number;
  state: RunState;
  phase: Phase;
  waiting: string | null;
  error: RecordedError | null;
  /** It went on after findings, so rows may have been mended by hand since they were copied. */
  mended: boolean;
  /** When it first was verified: since then its rows may be in use. Null where it never was. */
  verifiedAt: Date | null;
  /** What people set while it goes on. */
  settings: RunSettings;
  /** How often people changed it: see `holdUnchanged`. */
  changes: string;
}

const columns = `id, name, kind, plan, plan_hash as "planHash", plan_file as "planFile", revision, state, phase, waiting, error, mended, settings, verified_at as "verifiedAt", changes::text`;

/** Reads one run. Throws RUN_UNKNOWN. */
export async function readRun(on: Queryable, id: string): Promise<Run> {
  const { rows } = await on.query(`select ${columns} from rowfleet.run where id = $1`, [id]);
  if (rows[0] === undefined) {
    throw new RowfleetError('RUN_UNKNOWN', `there is no run ${id} in this target's ledger`, {
      kind: 'usage',
      hint: 'see `rowfleet status` for the runs that are there',
    });
  }
  return rows[0];
}

/** The runs that a scheduler has to drive. */
export async function readActiveRunIds(on: Queryable): Promise<string[]> {
  const { rows } = await on.query(
    `select id from rowfleet.run where state in ('running', 'cancelling') order by id`,
  );
  return rows.map(({ id }: { id: string }) => id);
}

/** The migrations that can go on, the latest first. */
export async function readUnfinishedRuns(on: Queryable): Promise<Run[]> {
  const { rows } = await on.query(
    `select ${columns} from rowfleet.run where kind = 'migrate' and state = any($1) order by id desc`,
    [unfinishedStates],
  );
  return rows;
}

/** Keeps others from starting or resuming runs until this transaction ends. */
export async function lockRuns(on: Queryable): Promise<void> {
  await on.query(`select pg_advisory_xact_lock(hashtextextended('rowfleet.run', 0))`);
}

/** Writes a new run, to be picked up by a scheduler; returns its id. */
export async function insertRun(
  on: Queryable,
  run: { kind: RunKind; plan: ResolvedPlan; planHash: string; planFile: string; phase: Phase },
): Promise<string> {
  const { rows } = await on.query(
    `insert into rowfleet.run (name, kind, plan, plan_hash, plan_file, phase) values ($1, $2, $3, $4, $5, $6) returning id`,
    [run.plan.name, run.kind, JSON.stringify(run.plan), run.planHash, run.planFile, run.phase],
  );
  return rows[0].id;
}

/** Moves a run to its next phase. */
export async function setPhase(on: Queryable, id: string, phase: Phase): Promise<void> {
  await on.query(`update rowfleet.run set phase = $2, waiting = null where id = $1`, [id, phase]);
}

/** Notes that people may have mended rows: from now on the loaders' numbers need not be those of the tables. */
export async function setMended(on: Queryable, id: string): Promise<void> {
  await on.query('update rowfleet.run set mended = true where id = $1', [id]);
}

/** Says what a run waits for, with the number behind it; null when it goes on. */
export async function setWaiting(on: Queryable, id: string, waiting: string | null): Promise<void> {
  await on.query('update rowfleet.run set waiting = $2 where id = $1 and waiting is distinct from $2', [
    id,
    waiting,
  ]);
}

/** Says where a run's source is, as its scheduler has it: never a user or a password. */
export async function setSourceLabel(on: Queryable, id: string, label: string): Promise<void> {
  await on.query('update rowfleet.run set source_label = $2 where id = $1', [id, label]);
}

/** Where a run's source is, as its scheduler has it; null before one took it up. */
export async function readSourceLabel(on: Queryable, id: string): Promise<string | null> {
  const { rows } = await on.query('select source_label from rowfleet.run where id = $1', [id]);
  return rows[0]?.source_label ?? null;
}

/** Changes a run's state if it is one of `from`; tells whether it did. A state that ends it stamps `ended_at`. */
export async function setRunState(
  on: Queryable,
  id: string,
  from: readonly RunState[],
  to: RunState,
  error: RecordedError | null = null,
): Promise<boolean> {
  const { rowCount } = await on.query(
    `update rowfleet.run
        set state = $3, error = $4, waiting = null,
            verified_at = case when $3 = 'verified' then coalesce(verified_at, clock_timestamp()) else verified_at end,
            ended_at = case when $3 in ('running', 'stopped', 'cancelling') then null else clock_timestamp() end
      where id = $1 and state = any($2)`,
    [id, from, to, error === null ? null : JSON.stringify(error)],
  );
  return rowCount === 1;
}

/** Records what was done to a run, in words, and by whom. */
export async function recordEvent(
  on: Queryable,
  runId: string | null,
  actor: string,
  message: string,
): Promise<void> {
  await on.query('insert into rowfleet.event (run_id, actor, message) values ($1, $2, $3)', [
    runId,
    actor,
    message,
  ]);
}
