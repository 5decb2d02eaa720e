import { ident, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';

// A constant as pg_get_expr prints it: 'text'::type, number, true, false, NULL.
const constant = /^(?:'(?:[^']|'')*'|-?\d+(?:\.\d+)?|true|false|NULL)(?:::[\w ."[\](),]+)?$/;

/**
 * What the target puts into columns that a flow leaves out, as text by column name; a column without a default
 * gives NULL. Columns whose default is no constant (sequences, now()) are not in the answer.
 */
export async function constantDefaults(
  target: Session,
  relation: RelationName,
  columns: string[],
): Promise<Map<string, string | null>> {
  const { rows } = await target.query<{ name: string; sql: string }>(
    `select a.attname as name, coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), 'NULL') as sql
     from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
     left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = $1::pg_catalog.regclass and a.attname = any ($2::text[])
       and a.attidentity = '' and a.attgenerated = '' and (t.typdefault is null or d.adnum is not null)`,
    [qualified(relation), columns],
  );
  const known = rows.filter((row) => constant.test(row.sql));
  if (known.length === 0) return new Map();
  const values = known.map(({ name, sql }) => `(${sql})::pg_catalog.text as ${ident(name)}`);
  const evaluated = await target.query<Record<string, string | null>>(`select ${values.join(', ')}`);
  return new Map(Object.entries(evaluated.rows[0]!));
}
