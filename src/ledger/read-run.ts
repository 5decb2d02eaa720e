import type { Session } from '../pg/session.ts';
import type { HoldKind } from './holds.ts';
import type { RecordedError } from './recorded-error.ts';
import type { Phase, RunKind, RunState } from './runs.ts';
import type { RunSettings } from './settings.ts';

/** A run without its plan. Times are the ledger server's. */
export interface RunSummary {
  id: string;
  name: string;
  kind: RunKind;
  state: RunState;
  phase: Phase;
  planFile: string;
  /** Of its plan: 1 until that is revised. */
  revision: number;
  /** What the run waits for and why; null where it waits for nothing. */
  waiting: string | null;
  error: RecordedError | null;
  createdAt: Date;
  endedAt: Date | null;
  /** Seconds from creation to the end, or to now. */
  elapsedSeconds: number;
  findings: number;
  /** Driving rows that are not in the target because they were refused. */
  quarantined: number;
  /** What people set while it goes on. */
  settings: RunSettings;
  /** What holds all of it back while it is running; people first. */
  heldBy: HoldKind | null;
}

/** An event of a run: what a person or a process did, in words. */
export interface RunEvent {
  at: Date;
  actor: string;
  message: string;
}

const runColumns = `
  r.id, r.name, r.kind, r.state, r.phase, r.plan_file, r.revision, r.waiting, r.error, r.settings, r.created_at, r.ended_at,
  extract(epoch from coalesce(r.ended_at, statement_timestamp()) - r.created_at)::float8 as elapsed,
  (select count(*) from rowfleet.finding f where f.run_id = r.id) as findings,
  (select count(*) from rowfleet.quarantine q where q.run_id = r.id and q.state <> 'loaded') as quarantined,
  case when r.state = 'running' then (select h.kind from rowfleet.hold h where h.run_id = r.id and h.flow = ''
    order by h.kind = 'pause' desc limit 1) end as held_by`;

// biome-ignore lint/suspicious/noExplicitAny: a row as pg returns it.
function toRun(row: any): RunSummary {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind,
    state: row.state,
    phase: row.phase,
    planFile: row.plan_file,
    revision: row.revision,
    waiting: row.waiting,
    error: row.error,
    createdAt: row.created_at,
    endedAt: row.ended_at,
    elapsedSeconds: Math.max(0, row.elapsed),
    findings: Number(row.findings),
    quarantined: Number(row.quarantined),
    settings: row.settings,
    heldBy: row.held_by,
  };
}

/** The runs of this ledger, newest first; at most `limit` of them (defaults to 50). */
export async function listRuns(session: Session, options: { limit?: number } = {}): Promise<RunSummary[]> {
  const { rows } = await session.query(
    `select ${runColumns} from rowfleet.run r order by r.id desc limit $1`,
    [options.limit ?? 50],
  );
  return rows.map(toRun);
}

/** One run; undefined where the ledger has none of that id. */
export async function readRunSummary(session: Session, runId: string): Promise<RunSummary | undefined> {
  const { rows } = await session.query(`select ${runColumns} from rowfleet.run r where r.id = $1`, [runId]);
  return rows[0] === undefined ? undefined : toRun(rows[0]);
}

/** The last events of a run, oldest first; at most `limit` (defaults to 20). */
export async function readEvents(session: Session, runId: string, limit = 20): Promise<RunEvent[]> {
  const { rows } = await session.query<RunEvent>(
    `select at, actor, message from
       (select id, at, actor, message from rowfleet.event where run_id = $1 order by id desc limit $2) last
     order by id`,
    [runId, limit],
  );
  return rows;
}
