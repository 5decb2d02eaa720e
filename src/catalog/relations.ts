import type { RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';

/** pg_class.relkind: table, partitioned table, view, materialized view, foreign table. */
export type RelationKind = 'r' | 'p' | 'v' | 'm' | 'f';

export interface Relation extends RelationName {
  oid: number;
  kind: RelationKind;
  /** pg_class.relpersistence: permanent, unlogged or temporary. */
  persistence: 'p' | 'u' | 't';
  isPartition: boolean;
  /** Belongs to an extension, which brings its own rows. */
  ofExtension: boolean;
  /** Policies would filter what the current role sees. */
  rowSecurity: boolean;
  canSelect: boolean;
  canInsert: boolean;
  owned: boolean;
  /** Direct parents by inheritance or partitioning. */
  parents: number[];
}

/** How people call what a relation is. */
export const kindNames: Record<RelationKind, string> = {
  r: 'table',
  p: 'partitioned table',
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
};

/** A table that is copied as one: partitions come with their root, an extension's tables with the extension. */
export const isTableOfItsOwn = ({ kind, isPartition, ofExtension, persistence }: Relation): boolean =>
  (kind === 'r' || kind === 'p') && !isPartition && !ofExtension && persistence !== 't';

/** Every relation with rows outside the system's schemas and rowfleet's own, by schema and name. */
export async function readRelations(session: Session): Promise<Relation[]> {
  const { rows } = await session.query<Relation>(`
    select c.oid::int8::float8 as oid, n.nspname::text as schema, c.relname::text as name,
      c.relkind::text as kind, c.relpersistence::text as persistence, c.relispartition as "isPartition",
      exists (select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
        as "ofExtension",
      c.relrowsecurity and pg_catalog.row_security_active(c.oid) as "rowSecurity",
      pg_catalog.has_schema_privilege(n.oid, 'usage') and (pg_catalog.has_table_privilege(c.oid, 'select')
        or not exists (select from pg_catalog.pg_attribute a
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            and not pg_catalog.has_column_privilege(c.oid, a.attnum, 'select'))) as "canSelect",
      pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'insert')
        as "canInsert",
      pg_catalog.pg_has_role(c.relowner, 'usage') as owned,
      coalesce((select pg_catalog.array_agg(i.inhparent::int8::float8) from pg_catalog.pg_inherits i
        where i.inhrelid = c.oid), '{}') as parents
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
      and n.nspname not in ('information_schema', 'rowfleet', 'rowfleet_queue') and n.nspname !~ '^pg_'
    order by n.nspname collate "C", c.relname collate "C"`);
  return rows;
}

/** Relations of one database, found by name or oid. */
export class Relations {
  readonly all: Relation[];
  readonly #byOid: Map<number, Relation>;
  readonly #byName: Map<string, Relation>;
  readonly #children = new Map<number, Relation[]>();

  constructor(all: Relation[]) {
    this.all = all;
    this.#byOid = new Map(all.map((relation) => [relation.oid, relation]));
    this.#byName = new Map(
      all.map((relation) => [JSON.stringify([relation.schema, relation.name]), relation]),
    );
    for (const relation of all) {
      for (const parent of relation.parents) {
        this.#children.set(parent, [...(this.#children.get(parent) ?? []), relation]);
      }
    }
  }

  byOid(oid: number): Relation | undefined {
    return this.#byOid.get(oid);
  }

  find(name: RelationName): Relation | undefined {
    return this.#byName.get(JSON.stringify([name.schema, name.name]));
  }

  children(relation: Relation): Relation[] {
    return this.#children.get(relation.oid) ?? [];
  }

  /** The relation and all that inherit from it, each once. */
  tree(relation: Relation): Relation[] {
    const found = new Map([[relation.oid, relation]]);
    for (const member of found.values()) {
      for (const child of this.children(member)) found.set(child.oid, child);
    }
    return [...found.values()];
  }
}
