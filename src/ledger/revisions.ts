import type { Session } from '../pg/session.ts';
import type { ResolvedPlan } from '../plan/resolved-plan.ts';
import type { Queryable } from './ledger.ts';

const planLock = `hashtextextended('rowfleet.plan ' || $1, 0)`;

/** Keeps a run's plan as it is until this transaction ends. */
export async function holdPlan(tx: Session, runId: string): Promise<void> {
  await tx.query(`select pg_advisory_xact_lock_shared(${planLock})`, [runId]);
}

/**
 * Waits until no attempt that began its work with the run's plan is under way, and lets none begin before this
 * transaction ends. The server's lock_timeout applies.
 */
export async function lockPlan(tx: Session, runId: string): Promise<void> {
  await tx.query(`select pg_advisory_xact_lock(${planLock})`, [runId]);
}

/** A plan that a run is to work by from now on. */
export interface NewRevision {
  plan: ResolvedPlan;
  planHash: string;
  planFile: string;
  actor: string;
  /** What it changes, in words. */
  summary: string;
}

/** Makes a plan the run's own; returns its number. The first revision is what the run was started with. */
export async function insertRevision(tx: Session, runId: string, revision: NewRevision): Promise<number> {
  await tx.query(
    `insert into rowfleet.plan_revision (run_id, revision, plan, plan_hash, actor, summary, recorded_at)
     select r.id, r.revision, r.plan, r.plan_hash, coalesce(e.actor, 'unknown'), 'started', r.created_at
       from rowfleet.run r
       left join lateral (select actor from rowfleet.event where run_id = r.id order by id limit 1) e on true
      where r.id = $1 on conflict do nothing`,
    [runId],
  );
  const { rows } = await tx.query<{ revision: number }>(
    `with revised as (
       update rowfleet.run set revision = revision + 1, plan = $2, plan_hash = $3, plan_file = $4 where id = $1
       returning id, revision, plan, plan_hash
     )
     insert into rowfleet.plan_revision (run_id, revision, plan, plan_hash, actor, summary)
     select id, revision, plan, plan_hash, $5, $6 from revised returning revision`,
    [
      ...[runId, JSON.stringify(revision.plan), revision.planHash, revision.planFile],
      ...[revision.actor, revision.summary],
    ],
  );
  return rows[0]!.revision;
}

/** What a flow has in the target, which another mapping may not yield. */
export interface FlowStanding {
  /** Batches that are done, and not only on paper. */
  loaded: boolean;
  /** Driving rows in quarantine, by what became of them. */
  refused: number;
  /** Of `refused`: rows that wait for people, rows that are in the target as people edited them, rows that were given up. */
  held: number;
  edited: number;
  discarded: number;
}

/** How a flow of a run stands. */
export async function readStanding(on: Queryable, runId: string, flow: string): Promise<FlowStanding> {
  const { rows } = await on.query(
    `select exists (select from rowfleet.task where run_id = $1 and flow = $2 and kind in ('batch', 'mend')
                      and rows_in is not null) as loaded,
            count(*)::int as refused,
            (count(*) filter (where state = 'held'))::int as held,
            (count(*) filter (where state = 'loaded' and edited is not null))::int as edited,
            (count(*) filter (where state = 'discarded'))::int as discarded
       from rowfleet.quarantine where run_id = $1 and flow = $2`,
    [runId, flow],
  );
  return rows[0];
}

/** Lets the batches of a flow that were loaded be loaded again; tells how many there are. */
export async function reloadBatches(tx: Session, runId: string, flow: string): Promise<number> {
  const { rowCount } = await tx.query(
    `update rowfleet.task
        set state = 'waiting', mode = 'reload', failures = 0, not_before = null, ended_at = null
      where run_id = $1 and flow = $2 and kind = 'batch' and rows_in is not null and state <> 'cancelled'`,
    [runId, flow],
  );
  return rowCount ?? 0;
}
