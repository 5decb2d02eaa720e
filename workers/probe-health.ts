import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import {
  type HealthAnswer,
  readActiveSessions,
  readDatabaseSize,
  readReplicationLag,
  readVacuums,
  readWalToArchive,
} from '../src/catalog/health.ts';
import { readDiskFull } from '../src/ledger/disk-full.ts';
import type { Run } from '../src/ledger/runs.ts';
import type { Endpoint } from '../src/pg/endpoint.ts';
import { destroySession, openSession, withSession } from '../src/pg/session.ts';
import type { ThrottleMeasure } from '../src/plan/plan.ts';
import type { ResolvedPlan } from '../src/plan/resolved-plan.ts';
import { updatedTables } from '../src/plan/statements/backfill.ts';

/** A server that does not answer in this time is for the breakers to judge. */
const probeWithinMs = 10_000;

/** Seconds for which an attempt that met a full disk holds the run: then one more may find out. */
const diskFullSeconds = 15;

/** Where a run's servers are. */
export interface ProbeSite {
  run: Run;
  /** The target, whose queries end in time. */
  target: pg.Pool;
  source: Endpoint;
}

/** A reading as the run is judged by it; `since` where the trouble is older than the hold for it. */
export type ProbeAnswer = HealthAnswer & { since?: number };

async function probeSource(source: Endpoint): Promise<HealthAnswer> {
  const session = await openSession(source, 'rowfleet health');
  const late = new AbortController();
  try {
    const tooLate = sleep(probeWithinMs, undefined, { signal: late.signal }).then(() => {
      throw new Error('the source did not answer in time');
    });
    return await Promise.race([readActiveSessions(session), tooLate]);
  } finally {
    late.abort();
    destroySession(session);
  }
}

async function probeDisk({ run, target }: ProbeSite): Promise<ProbeAnswer> {
  const { lately, since } = await readDiskFull(target, run.id, diskFullSeconds);
  const what =
    lately === 0
      ? 'no attempt met a full disk lately'
      : `the disk of the target is full, as attempts found in the last ${diskFullSeconds} s: ${lately}`;
  return { value: lately, what, ...(since === null ? {} : { since: since.getTime() }) };
}

/** Tables of the target that a run writes: those that it fills, and those whose rows it updates where they stand. */
const writtenTables = (plan: ResolvedPlan): number[] =>
  [...plan.targets, ...updatedTables(plan)].map(({ oid }) => oid);

/** Reads one measure. Throws what the server throws. */
export function probe(measure: ThrottleMeasure, site: ProbeSite): Promise<ProbeAnswer> {
  const { target, source, run } = site;
  switch (measure) {
    case 'replication_lag':
      return withSession(target, readReplicationLag);
    case 'wal_to_archive':
      return withSession(target, readWalToArchive);
    case 'vacuum':
      return withSession(target, (session) => readVacuums(session, writtenTables(run.plan)));
    case 'source_sessions':
      return probeSource(source);
    case 'target_gb':
      return withSession(target, readDatabaseSize);
    case 'disk_full':
      return probeDisk(site);
  }
}
