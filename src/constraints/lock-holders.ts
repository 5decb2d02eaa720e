import { literal, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';

/**
 * Who holds locks on tables, their partitions and their indexes, in words without query texts:
 * `psql (pid 4711, idle in transaction for 12 s)`. Empty when nobody does any more.
 */
export async function lockHolders(session: Session, tables: RelationName[]): Promise<string> {
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
       and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
     order by 1 limit 5`,
    [tables.map(qualified)],
  );
  return rows.map((row) => row.holder).join(', ');
}

/** `set local lock_timeout`, in milliseconds. */
export const lockTimeoutStatement = (ms: number): string =>
  `set local lock_timeout = ${literal(String(Math.round(ms)))}`;
