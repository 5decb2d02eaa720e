import { qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';

export interface Column {
  name: string;
  typeOid: number;
  /** pg_attribute.atttypmod; -1 for none. */
  typmod: number;
  /** `format_type`, with typmod. */
  type: string;
  notNull: boolean;
  /** Has a default of its own or of its domain. */
  hasDefault: boolean;
  identity: boolean;
  generated: boolean;
  /** Comparisons look at bytes: false under a nondeterministic collation. */
  deterministic: boolean;
}

/** The columns of the given relations, in their order; relations without columns are missing. */
export async function readColumns(session: Session, oids: number[]): Promise<Map<number, Column[]>> {
  const { rows } = await session.query<Column & { relation: number }>(
    `select a.attrelid::int8::float8 as relation, a.attname::text as name,
      a.atttypid::int8::float8 as "typeOid", a.atttypmod as typmod,
      pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
      a.attnotnull or t.typnotnull as "notNull",
      a.atthasdef and a.attgenerated = '' or t.typdefault is not null as "hasDefault",
      a.attidentity <> '' as identity, a.attgenerated <> '' as generated,
      coalesce(l.collisdeterministic, true) as deterministic
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_type t on t.oid = a.atttypid
    left join pg_catalog.pg_collation l on l.oid = a.attcollation
    where a.attrelid = any ($1::int8[]::oid[]) and a.attnum > 0 and not a.attisdropped
    order by a.attrelid, a.attnum`,
    [oids],
  );
  const columns = new Map<number, Column[]>();
  for (const { relation, ...column } of rows) {
    const known = columns.get(relation);
    if (known) known.push(column);
    else columns.set(relation, [column]);
  }
  return columns;
}

/**
 * The columns that identify a row of each relation: its primary key, else its first unique index of plain columns
 * that are all NOT NULL. Relations without one are missing.
 */
export async function readKeys(session: Session, oids: number[]): Promise<Map<number, string[]>> {
  const { rows } = await session.query<{ relation: number; key: string[] }>(
    `select distinct on (i.indrelid) i.indrelid::int8::float8 as relation,
      (select pg_catalog.array_agg(a.attname::text order by k.ordinality)
        from pg_catalog.unnest(i.indkey::int2[]) with ordinality k (attnum, ordinality)
        join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
        where k.ordinality <= i.indnkeyatts) as key
    from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
    where i.indrelid = any ($1::int8[]::oid[]) and i.indisunique and i.indisvalid
      and i.indpred is null and i.indexprs is null
      and not exists (
        select from pg_catalog.unnest(i.indkey::int2[]) with ordinality k (attnum, ordinality)
        join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
        where k.ordinality <= i.indnkeyatts and not a.attnotnull)
    order by i.indrelid, i.indisprimary desc, i.indnkeyatts, c.relname collate "C"`,
    [oids],
  );
  return new Map(rows.map(({ relation, key }) => [relation, key]));
}

/** The columns that a valid btree index of a relation begins with: ranges of them are read without the rest. */
export async function readRangeColumns(session: Session, oid: number): Promise<string[]> {
  const { rows } = await session.query<{ name: string }>(
    `select distinct a.attname::text as name
       from pg_catalog.pg_index i
       join pg_catalog.pg_class c on c.oid = i.indexrelid
       join pg_catalog.pg_am m on m.oid = c.relam and m.amname = 'btree'
       join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = (i.indkey::int2[])[0]
      where i.indrelid = $1 and i.indisvalid and i.indpred is null`,
    [oid],
  );
  return rows.map(({ name }) => name);
}

/** The unique keys of plain columns that a relation has. */
export async function readUniqueKeys(session: Session, oid: number): Promise<string[][]> {
  const { rows } = await session.query<{ key: string[] }>(
    `select (select pg_catalog.array_agg(a.attname::text order by k.ordinality)
         from pg_catalog.unnest(i.indkey::int2[]) with ordinality k (attnum, ordinality)
         join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
        where k.ordinality <= i.indnkeyatts) as key
       from pg_catalog.pg_index i
      where i.indrelid = $1 and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null`,
    [oid],
  );
  return rows.map(({ key }) => key);
}

/** Whether no two rows of a relation can have the same values in some of its columns: a unique key of it stands over them, or over fewer. */
export async function isUnique(
  session: Session,
  relation: RelationName,
  columns: string[],
): Promise<boolean> {
  // Keys of a table say nothing of the tables that inherit from it.
  const { rows } = await session.query<{ oid: number }>(
    `select oid::int8::float8 as oid from pg_catalog.pg_class
      where oid = $1::pg_catalog.regclass and (relkind = 'p' or not relhassubclass)`,
    [qualified(relation)],
  );
  const keys = rows[0] === undefined ? [] : await readUniqueKeys(session, rows[0].oid);
  return keys.some((key) => key.every((name) => columns.includes(name)));
}
