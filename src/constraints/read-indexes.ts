import type { RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';

/** The constraint that an index enforces. */
export interface IndexConstraint {
  oid: number;
  name: string;
  /** pg_constraint.contype: primary, unique, exclusion. */
  type: 'p' | 'u' | 'x';
  definition: string;
  deferrable: boolean;
  deferred: boolean;
  /** A NOT NULL of its columns is inherited only (PostgreSQL 18): declaring the key would make it the table's own. */
  inheritedNotNull: boolean;
  /** A temporal key (WITHOUT OVERLAPS, PostgreSQL 18). */
  period: boolean;
  comment: string | null;
}

/** One index as the catalog has it: everything that must be the same when it comes back. */
export interface IndexRow {
  oid: number;
  table: RelationName & { oid: number; relkind: string };
  name: string;
  definition: string;
  /** The index of the parent table that this one is attached to. */
  parent: number | null;
  tablespace: string | null;
  /** Where an index lies that has no tablespace of its own. */
  databaseTablespace: string;
  mayUseTablespace: boolean;
  storageOptions: { name: string; value: string }[];
  unique: boolean;
  immediate: boolean;
  valid: boolean;
  replicaIdentity: boolean;
  clustered: boolean;
  nullsNotDistinct: boolean;
  comment: string | null;
  /** Key columns and expressions as SQL over the table. */
  expressions: string[];
  predicate: string | null;
  /** A function that it calls and whose body may count on a search_path; NULL before PostgreSQL 17, where it gets one. */
  pathFunction: string | null;
  columnStatistics: { position: number; target: number }[];
  extensions: string[];
  constraint: IndexConstraint | null;
}

const query = `
  select pg_catalog.jsonb_build_object(
    'oid', x.oid::int8, 'name', x.relname, 'definition', pg_catalog.pg_get_indexdef(x.oid),
    'table', pg_catalog.jsonb_build_object(
      'oid', c.oid::int8, 'relkind', c.relkind, 'schema', n.nspname, 'name', c.relname),
    'parent', (select h.inhparent::int8 from pg_catalog.pg_inherits h where h.inhrelid = x.oid),
    'tablespace', s.spcname,
    'databaseTablespace', (select ds.spcname from pg_catalog.pg_database d
      join pg_catalog.pg_tablespace ds on ds.oid = d.dattablespace
      where d.datname = pg_catalog.current_database()),
    'mayUseTablespace', s.oid is null or pg_catalog.has_tablespace_privilege(s.oid, 'CREATE'),
    'storageOptions', (select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'name', o.option_name, 'value', o.option_value)), '[]') from pg_catalog.pg_options_to_table(x.reloptions) o),
    'unique', i.indisunique, 'immediate', i.indimmediate,
    'valid', i.indisvalid and i.indisready and i.indislive,
    'replicaIdentity', i.indisreplident, 'clustered', i.indisclustered,
    'nullsNotDistinct', coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
    'comment', pg_catalog.obj_description(x.oid, 'pg_class'),
    'expressions', (
      select pg_catalog.jsonb_agg(pg_catalog.pg_get_indexdef(x.oid, k, false)
        || case when l.oid is null then '' else pg_catalog.format(' collate %I.%I', ln.nspname, l.collname) end
        order by k)
      from pg_catalog.generate_series(1, i.indnkeyatts::int4) as k
      left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[k - 1] and a.attnum > 0
      left join pg_catalog.pg_collation l on l.oid = i.indcollation[k - 1]
        and (l.oid <> a.attcollation or a.attnum is null and not l.collisdeterministic)
      left join pg_catalog.pg_namespace ln on ln.oid = l.collnamespace),
    'predicate', pg_catalog.pg_get_expr(i.indpred, i.indrelid),
    'pathFunction', (
      select pg_catalog.min(p.oid::pg_catalog.regprocedure::text)
      from pg_catalog.pg_depend d join pg_catalog.pg_proc p on p.oid = d.refobjid
      join pg_catalog.pg_language l on l.oid = p.prolang and l.lanname not in ('c', 'internal')
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = x.oid
        and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass and p.prosqlbody is null
        and not exists (select from unnest(p.proconfig) as setting where setting like 'search_path=%')
        and pg_catalog.current_setting('server_version_num')::int4 >= 170000),
    'columnStatistics', (
      select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'position', a.attnum, 'target', a.attstattarget) order by a.attnum), '[]')
      from pg_catalog.pg_attribute a where a.attrelid = x.oid and nullif(a.attstattarget, -1) is not null
        and i.indkey[a.attnum - 1] = 0),
    'extensions', (
      select coalesce(pg_catalog.jsonb_agg(e.extname order by e.extname), '[]')
      from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = x.oid and d.deptype = 'x'
        and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass),
    'constraint', (
      select pg_catalog.jsonb_build_object('oid', o.oid::int8, 'name', o.conname, 'type', o.contype,
        'definition', pg_catalog.pg_get_constraintdef(o.oid), 'deferrable', o.condeferrable,
        'deferred', o.condeferred, 'period', coalesce((pg_catalog.to_jsonb(o) ->> 'conperiod')::bool, false),
        'inheritedNotNull', exists (select from pg_catalog.pg_constraint nn
          where nn.conrelid = c.oid and nn.contype = 'n' and not nn.conislocal and nn.conkey <@ o.conkey),
        'comment', pg_catalog.obj_description(o.oid, 'pg_constraint'))
      from pg_catalog.pg_constraint o
      where o.conindid = x.oid and o.conrelid = c.oid and o.contype in ('p', 'u', 'x'))) as index
  from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid
  join pg_catalog.pg_class c on c.oid = i.indrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_tablespace s on s.oid = x.reltablespace
  where i.indrelid = any ($1::pg_catalog.oid[]) order by x.oid`;

/** Every index on the given tables, oldest first. Needs an empty search_path, so that definitions are qualified. */
export async function readIndexes(session: Session, tables: number[]): Promise<IndexRow[]> {
  const { rows } = await session.query<{ index: IndexRow }>(query, [tables]);
  return rows.map((row) => row.index);
}

/** Something that would go, or stop working, with an index or its constraint. */
export interface Dependent {
  /** The index or constraint that is needed. */
  on: number;
  /** The foreign key that needs it, where it is one. */
  foreignKey: number | null;
  /** As the server describes it, e.g. `rule _RETURN on view public.totals`. */
  description: string;
}

/** What depends on the given indexes and constraints, apart from what belongs to them. */
export async function readDependents(session: Session, indexes: IndexRow[]): Promise<Dependent[]> {
  const { rows } = await session.query<{ dependent: Dependent }>(
    `select pg_catalog.jsonb_build_object('on', d.refobjid::int8,
       'foreignKey', (select o.oid::int8 from pg_catalog.pg_constraint o where o.contype = 'f' and o.oid = d.objid
         and d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass),
       'description', pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)) as dependent
     from pg_catalog.pg_depend d
     where d.deptype in ('n', 'a') and (
       d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = any ($1::pg_catalog.oid[])
       or d.refclassid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and d.refobjid = any ($2::pg_catalog.oid[]))`,
    [indexes.map((index) => index.oid), indexes.flatMap((index) => index.constraint?.oid ?? [])],
  );
  return rows.map((row) => row.dependent);
}
