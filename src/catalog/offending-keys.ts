import type { ForeignKey, UniqueKey } from '../constraints/types.ts';
import { ident, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';

/** Keys that break a constraint: how many, and the first of them as text by column or expression. */
export interface OffendingKeys {
  count: number;
  rows: Record<string, string | null>[];
}

/** Reads `count` and the rows of `offenders`, a query whose columns are k1…kn, under the given labels. */
async function readOffenders(
  session: Session,
  offenders: string,
  labels: string[],
  limit: number,
): Promise<OffendingKeys> {
  const pairs = labels.map((_, i) => `k${i + 1}::pg_catalog.text`).join(', ');
  const counted = await session.query<{ count: string }>(
    `select pg_catalog.count(*) as count from (${offenders}) as offenders`,
  );
  const count = Number(counted.rows[0]?.count ?? 0);
  if (count === 0) return { count, rows: [] };
  const first = await session.query<{ key: (string | null)[] }>(
    `select array[${pairs}] as key from (${offenders}) as offenders order by 1 limit $1`,
    [limit],
  );
  const rows = first.rows.map(({ key }) =>
    Object.fromEntries(labels.map((label, i) => [label, key[i] ?? null])),
  );
  return { count, rows };
}

/** The rows a constraint of `relation` is about: its partitions' too, but never those of inheriting tables. */
async function ownRows(session: Session, relation: RelationName): Promise<string> {
  const { rows } = await session.query<{ partitioned: boolean }>(
    `select relkind = 'p' as partitioned from pg_catalog.pg_class where oid = $1::pg_catalog.regclass`,
    [qualified(relation)],
  );
  return `${rows[0]?.partitioned ? '' : 'only '}${qualified(relation)}`;
}

/**
 * Keys that stand more than once in `relation` although `key` is to be unique: `count` keys, the first
 * `limit` of them. NULLs make a key distinct unless the key is NULLS NOT DISTINCT; rows outside a partial
 * key's predicate are not looked at. Equality is that of the column's type and collation.
 */
export async function duplicateKeys(
  session: Session,
  relation: RelationName,
  key: UniqueKey,
  limit = 10,
): Promise<OffendingKeys> {
  const list = key.expressions.map((expression, i) => `(${expression}) as k${i + 1}`).join(', ');
  const names = key.expressions.map((_, i) => `k${i + 1}`);
  const predicate = key.predicate === undefined ? '' : `where (${key.predicate})`;
  const known = key.nullsNotDistinct ? '' : `where pg_catalog.num_nulls(${names.join(', ')}) = 0`;
  const offenders = `
    select ${names.join(', ')} from (select ${list} from ${await ownRows(session, relation)} ${predicate}) as keys ${known}
    group by ${names.join(', ')} having pg_catalog.count(*) > 1`;
  return readOffenders(session, offenders, key.expressions, limit);
}

/**
 * The SQL comparisons `referenced.x = referencing.y` of a foreign key. An extension's type (citext) has its
 * equality outside pg_catalog, where the empty search_path does not see it, and where the two collations
 * differ the referenced one decides, as in the server.
 */
async function keyComparisons(
  session: Session,
  relation: RelationName,
  foreignKey: ForeignKey,
): Promise<string[]> {
  const { rows } = await session.query<{ operator: string | null; collation: string | null }>(
    `select (
       select pg_catalog.format('operator(%I.%s)', n.nspname, o.oprname)
       from pg_catalog.pg_opclass c
       join pg_catalog.pg_am m on m.oid = c.opcmethod and m.amname = 'btree'
       join pg_catalog.pg_amop a on a.amopfamily = c.opcfamily and a.amopstrategy = 3
         and a.amoplefttype = c.opcintype and a.amoprighttype = c.opcintype
       join pg_catalog.pg_operator o on o.oid = a.amopopr
       join pg_catalog.pg_namespace n on n.oid = o.oprnamespace and n.nspname <> 'pg_catalog'
       where c.opcdefault and c.opcintype = case t.typtype when 'd' then t.typbasetype else t.oid end
     ) as operator, (
       select pg_catalog.format(' collate %I.%I', n.nspname, l.collname)
       from pg_catalog.pg_collation l join pg_catalog.pg_namespace n on n.oid = l.collnamespace
       where l.oid = r.attcollation and f.attcollation <> r.attcollation
     ) as collation
     from unnest($3::text[], $4::text[]) with ordinality as k (referencing, referenced, position)
     join pg_catalog.pg_attribute f on f.attrelid = $1::pg_catalog.regclass and f.attname = k.referencing
     join pg_catalog.pg_attribute r on r.attrelid = $2::pg_catalog.regclass and r.attname = k.referenced
     join pg_catalog.pg_type t on t.oid = r.atttypid
     order by k.position`,
    [qualified(relation), qualified(foreignKey.references), foreignKey.columns, foreignKey.referencedColumns],
  );
  return foreignKey.columns.map((column, i) => {
    const { operator, collation } = rows[i] ?? { operator: null, collation: null };
    const referenced = `referenced.${ident(foreignKey.referencedColumns[i]!)}`;
    return `${referenced} ${operator ?? '='} referencing.${ident(column)}${collation ?? ''}`;
  });
}

/**
 * Distinct keys in `relation` that `foreignKey` does not find in the table it references. A key with a NULL
 * in it is free under MATCH SIMPLE; under MATCH FULL it is an orphan unless every column is NULL.
 */
export async function orphanKeys(
  session: Session,
  relation: RelationName,
  foreignKey: ForeignKey,
  limit = 10,
): Promise<OffendingKeys> {
  const columns = foreignKey.columns.map((column) => `referencing.${ident(column)}`);
  const list = columns.map((column, i) => `${column} as k${i + 1}`).join(', ');
  const matches = await keyComparisons(session, relation, foreignKey);
  const checked = `pg_catalog.${foreignKey.match === 'full' ? 'num_nonnulls' : 'num_nulls'}(${columns.join(', ')})`;
  const bound = foreignKey.match === 'full' ? '> 0' : '= 0';
  const offenders = `
    select distinct ${list} from ${await ownRows(session, relation)} as referencing
    where ${checked} ${bound} and not exists (
      select from ${await ownRows(session, foreignKey.references)} as referenced where ${matches.join(' and ')})`;
  return readOffenders(session, offenders, foreignKey.columns, limit);
}
