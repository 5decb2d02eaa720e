import type { RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';

/** A foreign key that the server derived from another for a partition on either side. */
export interface DerivedForeignKey {
  oid: number;
  name: string;
  table: RelationName;
  references: RelationName;
  validated: boolean;
  comment: string | null;
}

/** A declared foreign key as the catalog has it. */
export interface ForeignKeyRow {
  oid: number;
  name: string;
  definition: string;
  table: RelationName & { oid: number };
  references: RelationName & { oid: number };
  columns: string[];
  referencedColumns: string[];
  match: 'simple' | 'full';
  period: boolean;
  validated: boolean;
  enforced: boolean;
  comment: string | null;
  /** Whether the session's role may drop it and add it again. */
  owned: boolean;
  mayReference: boolean;
  /** Whether all of its triggers fire as a new key's would: nobody said DISABLE TRIGGER ALL. */
  triggersAsNew: boolean;
  /** Unique indexes on just the referenced columns, oldest first; a new key takes the first. */
  candidates: number[];
  index: number;
  derived: DerivedForeignKey[];
}

const query = `
  with recursive touching as (
    select o.oid, o.conparentid from pg_catalog.pg_constraint o
    where o.contype = 'f' and (o.conrelid = any ($1::pg_catalog.oid[]) or o.confrelid = any ($1::pg_catalog.oid[]))
  ), upward as (
    select oid, conparentid from touching
    union select p.oid, p.conparentid from upward u join pg_catalog.pg_constraint p on p.oid = u.conparentid
  ), downward as (
    select oid as root, oid from upward where conparentid = 0
    union all select d.root, o.oid from downward d join pg_catalog.pg_constraint o on o.conparentid = d.oid
  )
  select pg_catalog.jsonb_build_object(
    'oid', o.oid::int8, 'name', o.conname, 'definition', pg_catalog.pg_get_constraintdef(o.oid),
    'table', pg_catalog.jsonb_build_object('oid', c.oid::int8, 'schema', cn.nspname, 'name', c.relname),
    'references', pg_catalog.jsonb_build_object('oid', r.oid::int8, 'schema', rn.nspname, 'name', r.relname),
    'columns', (select pg_catalog.jsonb_agg(a.attname order by k.position)
      from unnest(o.conkey) with ordinality as k (number, position)
      join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.number),
    'referencedColumns', (select pg_catalog.jsonb_agg(a.attname order by k.position)
      from unnest(o.confkey) with ordinality as k (number, position)
      join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum = k.number),
    'match', case o.confmatchtype when 'f' then 'full' else 'simple' end,
    'period', coalesce((pg_catalog.to_jsonb(o) ->> 'conperiod')::bool, false),
    'validated', o.convalidated, 'enforced', coalesce((pg_catalog.to_jsonb(o) ->> 'conenforced')::bool, true),
    'comment', pg_catalog.obj_description(o.oid, 'pg_constraint'),
    'owned', pg_catalog.pg_has_role(c.relowner, 'USAGE') and (
      select pg_catalog.bool_and(pg_catalog.pg_has_role(dc.relowner, 'USAGE')) from downward d
      join pg_catalog.pg_constraint p on p.oid = d.oid join pg_catalog.pg_class dc on dc.oid = p.conrelid
      where d.root = o.oid),
    'mayReference', pg_catalog.has_table_privilege(r.oid, 'REFERENCES') or (
      select pg_catalog.bool_and(pg_catalog.has_column_privilege(r.oid, k, 'REFERENCES')) from unnest(o.confkey) as k),
    'triggersAsNew', not exists (
      select from pg_catalog.pg_trigger t join downward d on d.oid = t.tgconstraint
      where d.root = o.oid and t.tgenabled <> 'O'),
    'candidates', (select coalesce(pg_catalog.jsonb_agg(i.indexrelid::int8 order by i.indexrelid), '[]')
      from pg_catalog.pg_index i
      where i.indrelid = r.oid and i.indisunique and i.indpred is null and i.indexprs is null
        and i.indnkeyatts = pg_catalog.cardinality(o.confkey)
        and (i.indkey::int2[])[0:i.indnkeyatts - 1] <@ o.confkey
        and o.confkey <@ (i.indkey::int2[])[0:i.indnkeyatts - 1]),
    'index', o.conindid::int8,
    'derived', (select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'oid', p.oid::int8, 'name', p.conname, 'validated', p.convalidated,
        'comment', pg_catalog.obj_description(p.oid, 'pg_constraint'),
        'table', pg_catalog.jsonb_build_object('schema', pcn.nspname, 'name', pc.relname),
        'references', pg_catalog.jsonb_build_object('schema', prn.nspname, 'name', pr.relname)) order by p.oid), '[]')
      from downward d join pg_catalog.pg_constraint p on p.oid = d.oid
      join pg_catalog.pg_class pc on pc.oid = p.conrelid join pg_catalog.pg_namespace pcn on pcn.oid = pc.relnamespace
      join pg_catalog.pg_class pr on pr.oid = p.confrelid join pg_catalog.pg_namespace prn on prn.oid = pr.relnamespace
      where d.root = o.oid and d.oid <> o.oid)) as key
  from pg_catalog.pg_constraint o
  join pg_catalog.pg_class c on c.oid = o.conrelid join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
  join pg_catalog.pg_class r on r.oid = o.confrelid join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
  where o.oid in (select root from downward) order by o.oid`;

/** Every declared foreign key on or to the given tables, from whatever table, oldest first. */
export async function readForeignKeys(session: Session, tables: number[]): Promise<ForeignKeyRow[]> {
  const { rows } = await session.query<{ key: ForeignKeyRow }>(query, [tables]);
  return rows.map((row) => row.key);
}
