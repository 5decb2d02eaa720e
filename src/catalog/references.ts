import type { Session } from '../pg/session.ts';

/** A foreign key of a relation, by its columns. */
export interface Reference {
  columns: string[];
  /** oid of the relation that it refers to. */
  to: number;
  toColumns: string[];
}

/** The foreign keys of the given relations, by their columns; those that a partition has from its root are left out. */
export async function readReferences(session: Session, oids: number[]): Promise<Map<number, Reference[]>> {
  const names = (relation: string, key: string) => `(
    select pg_catalog.array_agg(a.attname::text order by k.ordinality)
      from pg_catalog.unnest(${key}) with ordinality k (attnum, ordinality)
      join pg_catalog.pg_attribute a on a.attrelid = ${relation} and a.attnum = k.attnum)`;
  const { rows } = await session.query<Reference & { relation: number }>(
    `select c.conrelid::int8::float8 as relation, c.confrelid::int8::float8 as "to",
      ${names('c.conrelid', 'c.conkey')} as columns, ${names('c.confrelid', 'c.confkey')} as "toColumns"
    from pg_catalog.pg_constraint c
    where c.conrelid = any ($1::int8[]::oid[]) and c.contype = 'f' and c.conparentid = 0
    order by c.conrelid, c.conkey, c.conname collate "C"`,
    [oids],
  );
  const references = new Map<number, Reference[]>();
  for (const { relation, ...reference } of rows) {
    const known = references.get(relation);
    if (known) known.push(reference);
    else references.set(relation, [reference]);
  }
  return references;
}
