/**
 * The queries of a catalog snapshot. Each takes the schemas ($1, NULL for all of the user's) and returns
 * `key` and `value`; no value holds an OID. Columns that not every server version has are read through
 * to_jsonb, which leaves them NULL.
 */
const scope = `n.nspname !~ '^(pg_|information_schema$|rowfleet)' and ($1::text[] is null or n.nspname = any ($1::text[]))`;

/** The comment on `oid` of catalog `catalog`. */
const comment = (oid: string, catalog: string): string => `pg_catalog.obj_description(${oid}, '${catalog}')`;

/** The tablespace of a pg_class row, NULL for the database's own. */
const tablespace = (row: string): string =>
  `(select s.spcname from pg_catalog.pg_tablespace s where s.oid = ${row}.reltablespace)`;

/** The extensions that `oid` was told to depend on. */
const extensions = (catalog: string, oid: string): string => `(
  select pg_catalog.jsonb_agg(e.extname order by e.extname)
  from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
  where d.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass and d.objid = ${oid} and d.deptype = 'x'
    and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass)`;

const relations = `
  select 'relation ' || c.oid::pg_catalog.regclass as key, pg_catalog.jsonb_build_object(
    'kind', c.relkind, 'owner', c.relowner::pg_catalog.regrole, 'persistence', c.relpersistence,
    'access method', (select a.amname from pg_catalog.pg_am a where a.oid = c.relam),
    'tablespace', ${tablespace('c')}, 'storage options', c.reloptions,
    'toast storage options', (select t.reloptions from pg_catalog.pg_class t where t.oid = c.reltoastrelid),
    'replica identity', c.relreplident, 'row security', c.relrowsecurity,
    'forced row security', c.relforcerowsecurity, 'privileges', c.relacl::text,
    'populated', c.relispopulated, 'comment', ${comment('c.oid', 'pg_class')},
    'partition key', case c.relkind when 'p' then pg_catalog.pg_get_partkeydef(c.oid) end,
    'partition bound', pg_catalog.pg_get_expr(c.relpartbound, c.oid),
    'parents', (select pg_catalog.jsonb_agg(i.inhparent::pg_catalog.regclass order by i.inhseqno)
                from pg_catalog.pg_inherits i where i.inhrelid = c.oid),
    'definition', case when c.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(c.oid) end) as value
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S') and ${scope}`;

const columns = `
  select pg_catalog.format('column %s.%I', c.oid::pg_catalog.regclass, a.attname) as key,
  pg_catalog.jsonb_build_object(
    'position', a.attnum, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'not null', a.attnotnull,
    'default', (select pg_catalog.pg_get_expr(d.adbin, d.adrelid) from pg_catalog.pg_attrdef d
                where d.adrelid = c.oid and d.adnum = a.attnum),
    'generated', a.attgenerated, 'identity', a.attidentity, 'storage', a.attstorage,
    'compression', a.attcompression, 'statistics', nullif(a.attstattarget, -1),
    'options', a.attoptions, 'local', a.attislocal, 'inherited', a.attinhcount,
    'collation', case when a.attcollation <> 0 then a.attcollation::pg_catalog.regcollation end,
    'privileges', a.attacl::text, 'comment', pg_catalog.col_description(c.oid, a.attnum)) as value
  from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'f', 'v', 'm') and ${scope}`;

// connoinherit means something for checks and not-null constraints only; for a partition's key it tells
// whether the key was there before its parent's, which a dump does not keep either.
const constraints = `
  select pg_catalog.format('constraint %I on %s', o.conname, o.conrelid::pg_catalog.regclass) as key,
  pg_catalog.jsonb_build_object(
    'type', o.contype, 'definition', pg_catalog.pg_get_constraintdef(o.oid), 'deferrable', o.condeferrable,
    'deferred', o.condeferred, 'validated', o.convalidated, 'local', o.conislocal, 'inherited', o.coninhcount,
    'no inherit', o.contype in ('c', 'n') and o.connoinherit, 'enforced', pg_catalog.to_jsonb(o) -> 'conenforced',
    'period', pg_catalog.to_jsonb(o) -> 'conperiod', 'match', o.confmatchtype,
    'index', case when o.conindid <> 0 then o.conindid::pg_catalog.regclass end,
    'references', case when o.confrelid <> 0 then o.confrelid::pg_catalog.regclass end,
    'parent', (select pg_catalog.format('%I on %s', p.conname, p.conrelid::pg_catalog.regclass)
               from pg_catalog.pg_constraint p where p.oid = o.conparentid),
    'triggers', (select pg_catalog.jsonb_agg(pg_catalog.format('%s %s %s', t.tgrelid::pg_catalog.regclass,
                   t.tgfoid::pg_catalog.regproc, t.tgenabled) order by t.tgrelid::pg_catalog.regclass::text,
                   t.tgfoid::pg_catalog.regproc::text)
                 from pg_catalog.pg_trigger t where t.tgconstraint = o.oid and t.tgisinternal),
    'comment', ${comment('o.oid', 'pg_constraint')}) as value
  from pg_catalog.pg_constraint o join pg_catalog.pg_class c on c.oid = o.conrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace where ${scope}`;

const indexes = `
  select 'index ' || i.indexrelid::pg_catalog.regclass as key, pg_catalog.jsonb_build_object(
    'table', i.indrelid::pg_catalog.regclass, 'definition', pg_catalog.pg_get_indexdef(i.indexrelid),
    'kind', x.relkind, 'owner', x.relowner::pg_catalog.regrole, 'tablespace', ${tablespace('x')},
    'storage options', x.reloptions, 'persistence', x.relpersistence, 'unique', i.indisunique, 'primary', i.indisprimary,
    'exclusion', i.indisexclusion, 'immediate', i.indimmediate, 'valid', i.indisvalid, 'ready', i.indisready,
    'live', i.indislive, 'replica identity', i.indisreplident, 'clustered', i.indisclustered,
    'nulls not distinct', pg_catalog.to_jsonb(i) -> 'indnullsnotdistinct',
    'parent', (select h.inhparent::pg_catalog.regclass from pg_catalog.pg_inherits h where h.inhrelid = x.oid),
    'column statistics', (select pg_catalog.jsonb_object_agg(a.attnum, a.attstattarget)
                          from pg_catalog.pg_attribute a
                          where a.attrelid = x.oid and nullif(a.attstattarget, -1) is not null),
    'column options', (select pg_catalog.jsonb_object_agg(a.attnum, a.attoptions)
                       from pg_catalog.pg_attribute a where a.attrelid = x.oid and a.attoptions is not null),
    'extensions', ${extensions('pg_class', 'x.oid')}, 'comment', ${comment('x.oid', 'pg_class')}) as value
  from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid
  join pg_catalog.pg_namespace n on n.oid = x.relnamespace where ${scope}`;

const triggers = `
  select pg_catalog.format('trigger %I on %s', t.tgname, t.tgrelid::pg_catalog.regclass) as key,
  pg_catalog.jsonb_build_object(
    'definition', pg_catalog.pg_get_triggerdef(t.oid), 'enabled', t.tgenabled,
    'parent', (select pg_catalog.format('%I on %s', p.tgname, p.tgrelid::pg_catalog.regclass)
               from pg_catalog.pg_trigger p where p.oid = t.tgparentid),
    'extensions', ${extensions('pg_trigger', 't.oid')}, 'comment', ${comment('t.oid', 'pg_trigger')}) as value
  from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace where not t.tgisinternal and ${scope}`;

const rules = `
  select pg_catalog.format('rule %I on %s', r.rulename, r.ev_class::pg_catalog.regclass) as key,
  pg_catalog.jsonb_build_object('definition', pg_catalog.pg_get_ruledef(r.oid), 'enabled', r.ev_enabled,
    'comment', ${comment('r.oid', 'pg_rewrite')}) as value
  from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace where ${scope}`;

const policies = `
  select pg_catalog.format('policy %I on %s', p.polname, p.polrelid::pg_catalog.regclass) as key,
  pg_catalog.jsonb_build_object('command', p.polcmd, 'permissive', p.polpermissive,
    'roles', (select pg_catalog.jsonb_agg(r::pg_catalog.regrole order by r::pg_catalog.regrole::text)
              from unnest(p.polroles) as r),
    'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
    'check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)) as value
  from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace where ${scope}`;

const statistics = `
  select pg_catalog.format('statistics %I.%I', n.nspname, s.stxname) as key, pg_catalog.jsonb_build_object(
    'definition', pg_catalog.pg_get_statisticsobjdef(s.oid), 'owner', s.stxowner::pg_catalog.regrole,
    'target', nullif(s.stxstattarget, -1), 'comment', ${comment('s.oid', 'pg_statistic_ext')}) as value
  from pg_catalog.pg_statistic_ext s join pg_catalog.pg_namespace n on n.oid = s.stxnamespace where ${scope}`;

const sequences = `
  select 'sequence ' || s.seqrelid::pg_catalog.regclass as key, pg_catalog.jsonb_build_object(
    'type', s.seqtypid::pg_catalog.regtype, 'start', s.seqstart, 'increment', s.seqincrement, 'maximum', s.seqmax,
    'minimum', s.seqmin, 'cache', s.seqcache, 'cycle', s.seqcycle,
    'owned by', (select pg_catalog.format('%s.%I (%s)', a.attrelid::pg_catalog.regclass, a.attname, d.deptype)
                 from pg_catalog.pg_depend d
                 join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                 where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = s.seqrelid
                   and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid > 0
                   and d.deptype in ('a', 'i'))) as value
  from pg_catalog.pg_sequence s join pg_catalog.pg_class c on c.oid = s.seqrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace where ${scope}`;

const publications = `
  select pg_catalog.format('publication %I of %I.%I', p.pubname, n.nspname, p.tablename) as key,
  pg_catalog.to_jsonb(p) as value
  from pg_catalog.pg_publication_tables p join pg_catalog.pg_namespace n on n.nspname = p.schemaname where ${scope}`;

/** All of them, in the order of a snapshot's reading. */
export const snapshotQueries: string[] = [
  relations,
  columns,
  constraints,
  indexes,
  triggers,
  rules,
  policies,
  statistics,
  sequences,
  publications,
];
