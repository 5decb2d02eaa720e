import { RowfleetError } from '../errors.ts';
import { sqlState } from '../pg/errors.ts';
import { display, literal, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { sqlStates } from '../pg/sql-states.ts';
import { underSavepoint } from '../pg/transaction.ts';

/** Milliseconds in a lock queue, where everybody else waits behind us; then the caller tries again. */
const lockTimeoutMs = 2_000;

/** What a lock is wanted for: only who has a table for himself keeps others from reading it. */
export type LockPurpose = 'read' | 'empty';

/**
 * Who holds locks on tables, their partitions and their indexes, in words without query texts:
 * `psql (pid 4711, idle in transaction for 12 s)`. Empty when nobody does any more.
 */
export async function lockHolders(
  session: Session,
  tables: RelationName[],
  purpose?: LockPurpose,
): Promise<string> {
  await session.query('select pg_catalog.pg_stat_clear_snapshot()'); // Else a transaction sees what it saw first.
  const { rows } = await session.query<{ holder: string }>(
    `with recursive tables (oid) as (
       select pg_catalog.to_regclass(name) from unnest($1::text[]) as name
       union select i.inhrelid from tables t join pg_catalog.pg_inherits i on i.inhparent = t.oid
     ), relations as (
       select oid from tables union
       select i.indexrelid from tables t join pg_catalog.pg_index i on i.indrelid = t.oid)
     select distinct pg_catalog.format('%s (pid %s%s%s)', coalesce(
         nullif(a.application_name, ''), nullif(a.backend_type, 'client backend'), 'a session'), a.pid,
       ', ' || a.state,
       pg_catalog.format(' for %s s', extract(epoch from pg_catalog.clock_timestamp() - a.state_change)::int4)
     ) as holder
     from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid = l.pid
     where l.granted and l.pid <> pg_catalog.pg_backend_pid() and l.relation in (select oid from relations)
       and (not $2 or l.mode = 'AccessExclusiveLock')
       and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
     order by 1 limit 5`,
    [tables.map(qualified), purpose === 'read'],
  );
  return rows.map((row) => row.holder).join(', ');
}

const foundNoLock = (error: unknown): boolean =>
  !(error instanceof RowfleetError) && sqlState(error) === sqlStates.lockNotAvailable;

/** `set local lock_timeout`, in milliseconds. */
export const lockTimeoutStatement = (ms: number): string =>
  `set local lock_timeout = ${literal(String(Math.round(ms)))}`;

/**
 * Runs what needs locks on tables under a savepoint of the caller's transaction, and stands in no lock queue for long.
 * Throws LOCK_NOT_AVAILABLE, which says who holds one of them. The timeout lasts until the transaction ends.
 */
export async function namingHolders<T>(
  session: Session,
  tables: RelationName[],
  purpose: LockPurpose,
  fn: () => Promise<T>,
): Promise<T> {
  const outcome = await underSavepoint(session, foundNoLock, async () => {
    await session.query(lockTimeoutStatement(lockTimeoutMs));
    return fn();
  });
  if (outcome.kind === 'done') return outcome.value;
  const holders = await lockHolders(session, tables, purpose);
  throw new RowfleetError(
    'LOCK_NOT_AVAILABLE',
    `waiting for a lock, to ${purpose} ${tables.map(display).join(', ')}${holders && `, held by ${holders}`}`,
    { cause: outcome.error, hint: 'end or finish the sessions that hold the tables' },
  );
}
