import type { Session } from '../pg/session.ts';
import { ledgerExists } from './ledger.ts';
import { readCopySeconds } from './read-flows.ts';

/** What an earlier run of a plan took, all of whose batches were copied. */
export interface EarlierRun {
  id: string;
  state: string;
  rows: number;
  bytes: number;
  /** Seconds in which at least one batch was under way. */
  copySeconds: number;
  /** Seconds from its beginning to its end, pauses included. */
  elapsedSeconds: number;
}

/** The latest migration by a plan of that name whose copy was complete; undefined where there is none. */
export async function readEarlierRun(session: Session, name: string): Promise<EarlierRun | undefined> {
  if (!(await ledgerExists(session))) return undefined;
  const { rows } = await session.query<Omit<EarlierRun, 'copySeconds'>>(
    `select r.id::text, r.state, sum(t.rows_in)::float8 as rows, sum(t.bytes)::float8 as bytes,
            extract(epoch from coalesce(r.verified_at, r.ended_at) - r.created_at)::float8 as "elapsedSeconds"
       from rowfleet.run r join rowfleet.task t on t.run_id = r.id and t.kind = 'batch' and t.state = 'done'
      where r.name = $1 and r.kind = 'migrate' and r.state in ('verified', 'findings', 'quarantined')
      group by r.id order by r.id desc limit 1`,
    [name],
  );
  const [run] = rows;
  if (run === undefined || run.rows === 0) return undefined;
  return { ...run, copySeconds: await readCopySeconds(session, run.id) };
}
