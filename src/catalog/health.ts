import type { Session } from '../pg/session.ts';

/** How a server is, in one respect: a number, and what it is in words, without the limit. */
export interface HealthReading {
  value: number;
  what: string;
}

/** What the role may see, or what it needs to be granted to see it. */
export type HealthAnswer = HealthReading | { needs: string };

const isOwn = (session: string) =>
  `${session}.usename = current_user and ${session}.application_name like 'rowfleet%'`;
const mayReadAll = `pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage')`;
const needsStats = { needs: 'pg_read_all_stats, which pg_monitor includes' };

/** Seconds that the slowest standby lags behind in replaying, or in receiving where it does not replay. */
export async function readReplicationLag(target: Session): Promise<HealthAnswer> {
  const { rows } = await target.query(
    `select r.state, coalesce(nullif(r.application_name, ''), 'pid ' || r.pid) as name,
            extract(epoch from coalesce(r.replay_lag, r.flush_lag, r.write_lag))::float8 as lag
       from pg_catalog.pg_stat_replication r order by lag desc nulls last limit 1`,
  );
  const slowest = rows[0];
  if (slowest === undefined) return { value: 0, what: 'no standby is connected to the target' };
  // The row is there for everybody, what is in it is not.
  if (slowest.state === null) return needsStats;
  const seconds = Math.round(slowest.lag ?? 0);
  return { value: seconds, what: `the replication lag of ${slowest.name} is ${seconds} s` };
}

/*
 * Without the directory, the archiver's last file tells: names are timeline, log and segment, of eight hex digits each,
 * and the segment that is being written to does not wait yet.
 */
const walStatement = `
with names as (
  select (select left(last_archived_wal, 24) from pg_catalog.pg_stat_archiver) as archived,
    pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) as current,
    4294967296 / pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size')) as per_log
), numbers as (
  select ('x' || substr(archived, 9, 8))::bit(32)::bigint * per_log + ('x' || substr(archived, 17, 8))::bit(32)::bigint as archived,
    ('x' || substr(current, 9, 8))::bit(32)::bigint * per_log + ('x' || substr(current, 17, 8))::bit(32)::bigint as current
  from names where archived ~ '^[0-9A-F]{24}$' or archived is null
)
select case when archived is not null then greatest(0, current - archived - 1) end::float8 as waiting from numbers`;

/** WAL files that wait to be archived; 0 where nothing is archived. */
export async function readWalToArchive(target: Session): Promise<HealthAnswer> {
  const { rows: modes } = await target.query(
    `select pg_catalog.current_setting('archive_mode') as mode,
            pg_catalog.has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'execute') as may`,
  );
  const { mode, may } = modes[0];
  if (mode === 'off') return { value: 0, what: 'the target archives no WAL' };
  const { rows } = await target.query(
    may
      ? `select count(*)::float8 as waiting from pg_catalog.pg_ls_archive_statusdir() where name like '%.ready'`
      : walStatement,
  );
  const waiting: number | null = rows[0]?.waiting ?? null;
  if (waiting === null) return { needs: 'pg_monitor: its archiver has archived nothing yet' };
  return { value: waiting, what: `${waiting} WAL files of the target wait to be archived` };
}

/** Tables of `oids`, or partitions of theirs, that somebody else vacuums or analyzes: their lock shows it to everyone. */
export async function readVacuums(target: Session, oids: number[]): Promise<HealthReading> {
  const { rows } = await target.query(
    `with own as (
       select o.oid::oid as oid from pg_catalog.unnest($1::bigint[]) as o (oid)
       union select p.relid from pg_catalog.unnest($1::bigint[]) as o (oid), pg_catalog.pg_partition_tree(o.oid::oid) p
     )
     select distinct n.nspname || '.' || c.relname as name
       from pg_catalog.pg_locks l
       join pg_catalog.pg_class c on c.oid in (select oid from own) and l.relation in (c.oid, nullif(c.reltoastrelid, 0))
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where l.locktype = 'relation' and l.mode = 'ShareUpdateExclusiveLock' and l.granted
        and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
        and not exists (select 1 from pg_catalog.pg_stat_activity a where a.pid = l.pid and ${isOwn('a')})
      order by 1`,
    [oids],
  );
  const [first, ...more] = rows.map(({ name }: { name: string }) => name);
  if (first === undefined) return { value: 0, what: 'no target table is under vacuum' };
  const others = more.length === 0 ? '' : ` and ${more.length} more`;
  return { value: rows.length, what: `a vacuum or analyze is at ${first}${others}` };
}

/** Sessions of others that run a statement on the source. */
export async function readActiveSessions(source: Session): Promise<HealthAnswer> {
  const { rows } = await source.query(
    `select ${mayReadAll} as may, (
       select count(*)::float8 from pg_catalog.pg_stat_activity a
        where a.backend_type = 'client backend' and a.state = 'active' and a.pid <> pg_catalog.pg_backend_pid()
          and not (${isOwn('a')})
     ) as active`,
  );
  const { may, active } = rows[0];
  return may ? { value: active, what: `${active} sessions are active on the source` } : needsStats;
}

/** Size of the target database in 10^9 bytes. */
export async function readDatabaseSize(target: Session): Promise<HealthReading> {
  const { rows } = await target.query(
    'select pg_catalog.pg_database_size(pg_catalog.current_database())::float8 / 1e9 as gb',
  );
  const { gb } = rows[0];
  return { value: gb, what: `the target database has ${gb.toFixed(gb < 1 ? 3 : 1)} GB` };
}
