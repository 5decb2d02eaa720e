import type { CapturedObject } from '../../constraints/types.ts';
import { RowfleetError } from '../../errors.ts';
import { display, ident, qualified, type RelationName } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';

/** A foreign key upon the target, standing or taken down. */
export interface Inbound {
  name: string;
  table: RelationName;
  columns: string[];
  referencedColumns: string[];
  /** What a delete does to the rows that refer: `CASCADE`; null where it is simply refused. */
  action: string | null;
  down: boolean;
}

const standing = `
  with tree as (
    select $1::pg_catalog.regclass::pg_catalog.oid as oid
    union select relid::pg_catalog.oid from pg_catalog.pg_partition_tree($1::pg_catalog.regclass))
  select o.conname as name, pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname) as table,
    array(select a.attname::text from pg_catalog.unnest(o.conkey) with ordinality k (attnum, i)
      join pg_catalog.pg_attribute a on a.attrelid = o.conrelid and a.attnum = k.attnum order by i) as columns,
    array(select a.attname::text from pg_catalog.unnest(o.confkey) with ordinality k (attnum, i)
      join pg_catalog.pg_attribute a on a.attrelid = o.confrelid and a.attnum = k.attnum order by i) as "referencedColumns",
    case o.confdeltype when 'c' then 'CASCADE' when 'n' then 'SET NULL' when 'd' then 'SET DEFAULT' end as action,
    false as down
  from pg_catalog.pg_constraint o
  join pg_catalog.pg_class c on c.oid = o.conrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where o.contype = 'f' and o.confrelid in (select oid from tree)
    and not exists (select from pg_catalog.pg_constraint p
      where p.oid = o.conparentid and p.confrelid in (select oid from tree))
  order by o.conname`;

function takenDown(objects: CapturedObject[], tree: ReadonlySet<string>): Inbound[] {
  return objects.flatMap(({ name, relation, foreignKey, bringBack }) => {
    if (foreignKey === undefined || !tree.has(display(foreignKey.references))) return [];
    const { columns, referencedColumns } = foreignKey;
    const action = /\son delete (cascade|set null|set default)\b/i.exec(bringBack[0] ?? '')?.[1];
    return [
      {
        name,
        table: relation,
        columns,
        referencedColumns,
        action: action?.toUpperCase() ?? null,
        down: true,
      },
    ];
  });
}

/**
 * The foreign keys that refer to a table or to one of its partitions.
 * @param down what the run has taken down and not brought back
 */
export async function readInbound(
  target: Session,
  relation: RelationName,
  down: CapturedObject[],
): Promise<Inbound[]> {
  const { rows } = await target.query<Inbound>(standing, [qualified(relation)]);
  const { rows: tree } = await target.query<RelationName>(
    `select n.nspname as schema, c.relname as name
       from pg_catalog.pg_partition_tree($1::pg_catalog.regclass) p
       join pg_catalog.pg_class c on c.oid = p.relid join pg_catalog.pg_namespace n on n.oid = c.relnamespace`,
    [qualified(relation)],
  );
  return [...rows, ...takenDown(down, new Set([display(relation), ...tree.map(display)]))];
}

const describe = ({ name, table, action, down }: Inbound): string =>
  `foreign key ${name} of ${display(table)}${action === null ? '' : ` (ON DELETE ${action})`}${down ? ', which is down for the migration,' : ''}`;

/** Throws RELOAD_SPREADS where a row of `vanished` (a table of `relation, place`: tableoid and ctid) is referred to by a key that would pass its delete on. */
export async function refuseSpread(
  target: Session,
  relation: RelationName,
  down: CapturedObject[],
  vanished: string,
): Promise<void> {
  for (const inbound of await readInbound(target, relation, down)) {
    if (inbound.action === null) continue;
    const on = inbound.columns.map(
      (column, i) => `r.${ident(column)} = t.${ident(inbound.referencedColumns[i]!)}`,
    );
    const { rows } = await target.query<{ n: string }>(
      `select pg_catalog.count(*) as n from ${vanished} v
         join ${qualified(relation)} t on t.tableoid = v.relation and t.ctid = v.place
         join ${qualified(inbound.table)} r on ${on.join(' and ')}
        where not exists (select from ${vanished} w where w.relation = r.tableoid and w.place = r.ctid)`,
    );
    if (rows[0]!.n === '0') continue;
    throw new RowfleetError(
      'RELOAD_SPREADS',
      `${display(relation)}: rows that vanished from the source are still referred to by ${rows[0]!.n} rows, and ${describe(inbound)} would spread their delete`,
      {
        hint: `remove or repoint those rows of ${display(inbound.table)}, then resume; or \`rowfleet requeue --withdraw\` gives the reload up`,
      },
    );
  }
}

/** Throws RELOAD_REFUSED where another table refers to one that is to be emptied. */
export async function refuseInbound(
  target: Session,
  relation: RelationName,
  down: CapturedObject[],
): Promise<void> {
  const inbound = (await readInbound(target, relation, down)).find(
    ({ table }) => display(table) !== display(relation),
  );
  if (inbound === undefined) return;
  throw new RowfleetError(
    'RELOAD_REFUSED',
    `${display(relation)} has no key that the flow fills, so it can only be emptied and filled anew, and ${describe(inbound)} refers to it`,
    { hint: '`rowfleet requeue --withdraw` gives the reload up; mend the rows by hand' },
  );
}
