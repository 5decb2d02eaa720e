import type { Session } from '../pg/session.ts';

export interface DataType {
  oid: number;
  schema: string;
  name: string;
  /** pg_type.typtype: base, composite, domain, enum, range, multirange, pseudo. */
  kind: 'b' | 'c' | 'd' | 'e' | 'r' | 'm' | 'p';
  /** pg_type.typcategory; `S` are the string types. */
  category: string;
  /** Element type of a true array; 0 for none. */
  element: number;
  /** What stands between the elements of its arrays' text: a comma, nearly always. */
  delimiter: string;
  /** Domains: what they are over; 0 for none. */
  base: number;
  baseTypmod: number;
  /** Enums: the labels in their order. */
  labels: string[] | null;
}

/** Types and casts of one database. */
export interface TypeCatalog {
  byOid: Map<number, DataType>;
  byName: Map<string, DataType>;
  /** `source>target` oids of casts that an INSERT would apply on its own. */
  casts: Set<string>;
  /** The same of casts that are applied only where SQL writes them. */
  explicitCasts: Set<string>;
}

/** The key of a type in `byName`. */
export const typeKey = (type: { schema: string; name: string }): string =>
  JSON.stringify([type.schema, type.name]);

/** Reads all types; thousands of rows in a large database, so once a session. */
export async function readTypes(session: Session): Promise<TypeCatalog> {
  const types = await session.query<DataType>(`
    select t.oid::int8::float8 as oid, n.nspname::text as schema, t.typname::text as name, t.typtype::text as kind,
      t.typcategory::text as category,
      case when t.typcategory = 'A' then t.typelem::int8::float8 else 0 end as element,
      t.typdelim::text as delimiter, t.typbasetype::int8::float8 as base, t.typtypmod as "baseTypmod",
      case when t.typtype = 'e' then (select pg_catalog.array_agg(e.enumlabel::text order by e.enumsortorder)
        from pg_catalog.pg_enum e where e.enumtypid = t.oid) end as labels
    from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace`);
  const { rows: casts } = await session.query<{ key: string; explicit: boolean }>(`
    select castsource::text || '>' || casttarget::text as key, castcontext = 'e' as explicit from pg_catalog.pg_cast`);
  const keysOf = (explicit: boolean) =>
    new Set(casts.filter((cast) => cast.explicit === explicit).map(({ key }) => key));
  return {
    byOid: new Map(types.rows.map((type) => [type.oid, type])),
    byName: new Map(types.rows.map((type) => [typeKey(type), type])),
    casts: keysOf(false),
    explicitCasts: keysOf(true),
  };
}

/** `format_type` of each type and typmod, as the session's database prints it. */
export async function formatTypes(
  session: Session,
  types: { oid: number; typmod: number }[],
): Promise<string[]> {
  const { rows } = await session.query<{ name: string }>(
    `select pg_catalog.format_type(t.oid::int8::oid, t.typmod) as name
    from rows from (pg_catalog.unnest($1::int8[]), pg_catalog.unnest($2::int4[])) with ordinality t (oid, typmod, n) order by n`,
    [types.map(({ oid }) => oid), types.map(({ typmod }) => typmod)],
  );
  return rows.map(({ name }) => name);
}
