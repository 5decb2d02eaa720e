import { qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';

/** A table of the plan; whether it holds rows is looked up where the caller does not say. */
export type TableToLoad = RelationName & { nonEmpty?: boolean };

/** A table that will be loaded: one of the plan's, or a partition below one. */
export interface LoadedRelation extends RelationName {
  oid: number;
  /** pg_class.relkind: `r` table, `p` partitioned, `f` foreign. */
  relkind: string;
  /** The plan's table it belongs to; itself where it is one. */
  loadedTable: RelationName;
  /** Whether the session's role may change it: owner, or a member of the owner. */
  owned: boolean;
  /** Whether indexes may be created in its schema. */
  mayCreate: boolean;
  /** Whether the plan's table it belongs to holds a row. */
  nonEmpty: boolean;
  /** A publication sends its updates or deletes, and finds their rows by the replica identity. */
  published: boolean;
  /** A rewrite rule over it says ON CONFLICT, which needs its unique indexes. */
  conflictRule: boolean;
}

const treeQuery = `
  with recursive given as (
    select pg_catalog.to_regclass(pg_catalog.format('%I.%I', g.schema, g.name)) as oid, g.schema, g.name
    from pg_catalog.jsonb_to_recordset($1::jsonb) as g (schema text, name text)
  ), tree (oid, depth, schema, name) as (
    select oid, 0, schema, name from given where oid is not null
    union all
    select c.oid, t.depth + 1, t.schema, t.name from tree t
    join pg_catalog.pg_inherits i on i.inhparent = t.oid
    join pg_catalog.pg_class c on c.oid = i.inhrelid and c.relispartition
  ), published as materialized (
    select m.relid from pg_catalog.pg_publication p, lateral pg_catalog.pg_get_publication_tables(p.pubname) as m
    where p.pubupdate or p.pubdelete
  ), highest as (select distinct on (oid) * from tree order by oid, depth desc)
  select c.oid::int8 as oid, n.nspname as schema, c.relname as name, c.relkind::text as relkind,
    pg_catalog.jsonb_build_object('schema', h.schema, 'name', h.name) as "loadedTable",
    pg_catalog.pg_has_role(c.relowner, 'USAGE') as owned,
    pg_catalog.has_schema_privilege(n.oid, 'CREATE') as "mayCreate",
    exists (select from published p where p.relid in (
      select c.oid union all select relid from pg_catalog.pg_partition_ancestors(c.oid))) as published,
    exists (
      select from pg_catalog.pg_rewrite r join pg_catalog.pg_depend d
        on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid
      where d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = c.oid
        and r.ev_type <> '1' and pg_catalog.pg_get_ruledef(r.oid) ~* 'on conflict'
    ) as "conflictRule"
  from highest h join pg_catalog.pg_class c on c.oid = h.oid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'f')
  order by h.depth, n.nspname, c.relname`;

/**
 * The given tables with every partition below them, parents first. Names that are no table are left out:
 * preflight has refused them.
 */
export async function readLoadedRelations(
  session: Session,
  tables: TableToLoad[],
): Promise<LoadedRelation[]> {
  const given = JSON.stringify(tables.map(({ schema, name }) => ({ schema, name })));
  const { rows } = await session.query<LoadedRelation & { oid: string }>(treeQuery, [given]);
  const filled = new Map<string, boolean>();
  for (const table of tables) if (table.nonEmpty !== undefined) filled.set(qualified(table), table.nonEmpty);
  for (const row of rows) {
    const isGiven = qualified(row) === qualified(row.loadedTable);
    if (isGiven && !filled.has(qualified(row))) filled.set(qualified(row), await holdsRow(session, row));
  }
  return rows.map((row) => ({
    ...row,
    oid: Number(row.oid),
    nonEmpty: filled.get(qualified(row.loadedTable)) ?? true,
  }));
}

/** Whether the table or a partition below it holds a row; rows of inheriting tables are not its own. */
async function holdsRow(session: Session, table: RelationName & { relkind: string }): Promise<boolean> {
  const { rows } = await session.query<{ filled: boolean }>(
    `select exists (select from ${table.relkind === 'p' ? '' : 'only '}${qualified(table)}) as filled`,
  );
  return rows[0]?.filled ?? true;
}
