import { qualified } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { Relation } from './relations.ts';

export interface Size {
  /** Estimated; missing where the role may not read the relation. */
  rows?: number;
  /** Of the table with its TOAST, without indexes. */
  bytes: number;
}

/** The planner's estimate: right in magnitude also for tables that were never analyzed. */
async function plannedRows(session: Session, relation: Relation, pages: number): Promise<number | undefined> {
  if (!relation.canSelect || relation.rowSecurity) return undefined;
  const { rows } = await session.query(`explain (format json) select from only ${qualified(relation)}`);
  // It takes a table that was never analyzed for ten pages at least.
  return Math.ceil(rows[0]['QUERY PLAN'][0].Plan['Plan Rows'] * Math.min(1, pages / 10));
}

/** Rows and bytes that each of the relations holds itself, without those of its partitions and children. */
export async function readSizes(session: Session, relations: Relation[]): Promise<Map<number, Size>> {
  const { rows } = await session.query<{ oid: number; tuples: number; pages: number; bytes: number }>(
    `select c.oid::int8::float8 as oid, greatest(c.reltuples, 0)::float8 as tuples,
      coalesce(pg_catalog.pg_relation_size(c.oid), 0)::float8
        / pg_catalog.current_setting('block_size')::float8 as pages,
      coalesce(pg_catalog.pg_table_size(c.oid), 0)::float8 as bytes
    from pg_catalog.pg_class c where c.oid = any ($1::int8[]::oid[]) and c.relkind = 'r'`,
    [relations.map(({ oid }) => oid)],
  );
  const measured = new Map(rows.map((row) => [row.oid, row]));
  const sizes = new Map<number, Size>();
  for (const relation of relations) {
    const { tuples, pages, bytes } = measured.get(relation.oid) ?? { tuples: 0, pages: 0, bytes: 0 };
    // No rows on some pages: it was not analyzed since it was filled.
    const estimate = pages === 0 || tuples > 0 ? tuples : await plannedRows(session, relation, pages);
    sizes.set(relation.oid, { ...(estimate === undefined ? {} : { rows: estimate }), bytes });
  }
  return sizes;
}
