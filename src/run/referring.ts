import { type Inbound, readInbound } from '../copy/derive/spread.ts';
import { RowfleetError } from '../errors.ts';
import { sqlState } from '../pg/errors.ts';
import { display, ident, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { sqlStates } from '../pg/sql-states.ts';
import { underSavepoint } from '../pg/transaction.ts';

/** The tables that hold the rows of tables: themselves and their partitions. */
async function treeOf(tx: Session, tables: RelationName[]): Promise<string[]> {
  const { rows } = await tx.query<{ oid: string }>(
    `with given as (select pg_catalog.to_regclass(name) as oid from pg_catalog.unnest($1::text[]) as name)
     select oid::pg_catalog.oid::text from given
     union select p.relid::pg_catalog.oid::text from given, pg_catalog.pg_partition_tree(given.oid) p`,
    [tables.map(qualified)],
  );
  return rows.map(({ oid }) => oid);
}

/** Whether rows of `among` refer by a key; undefined where we may not look. */
async function anyRefers(tx: Session, key: Inbound, among: string[]): Promise<boolean | undefined> {
  const { rows } = await tx.query<{ empty: boolean }>(
    `select pg_catalog.sum(pg_catalog.pg_relation_size(oid)) = 0 as empty from pg_catalog.unnest($1::oid[]) as oid`,
    [among],
  );
  if (rows[0]!.empty) return false;
  const refers = key.columns.map((column) => `r.${ident(column)} is not null`).join(' and ');
  const look = await underSavepoint(
    tx,
    (error) => sqlState(error) === sqlStates.insufficientPrivilege, // To read the table, or all of its rows.
    () =>
      tx.query(
        `select 1 from ${qualified(key.table)} r where r.tableoid = any($1::oid[]) and ${refers} limit 1`,
        [among],
      ),
  );
  return look.kind === 'done' ? look.value.rowCount === 1 : undefined;
}

/** What stands in the way of emptying a table; `seen`: rows that refer, and not only a table that we may not read. */
async function stillReferred(tx: Session, table: RelationName, key: Inbound, seen: boolean) {
  const other = display(key.table);
  const name = `foreign key ${key.name} of ${other}`;
  const { rows } = await tx.query<{ role: string }>('select current_user::text as role');
  const role = rows[0]!.role;
  const refer = seen
    ? `rows of ${other} refer to it`
    : `${role} may not see which rows of ${other} refer to it`;
  const spread = key.action === null ? '' : `, and ${name} (ON DELETE ${key.action}) would change them too`;
  const way = seen ? `remove or repoint those rows of ${other}` : `grant select on ${other} to ${role}`;
  return new RowfleetError('STILL_REFERRED', `${display(table)} cannot be emptied: ${refer}${spread}`, {
    hint: `${way}, or drop ${name}; then try again, while a cancellation goes on by itself`,
  });
}

/**
 * Throws STILL_REFERRED where rows of other tables refer to those of `tables`, all of which are to be deleted, and where a
 * key would change rows that we may not see.
 */
export async function refuseReferring(tx: Session, tables: RelationName[]): Promise<void> {
  const going = new Set(await treeOf(tx, tables));
  for (const table of tables) {
    for (const key of await readInbound(tx, table, [])) {
      const others = (await treeOf(tx, [key.table])).filter((oid) => !going.has(oid));
      const refers = others.length > 0 && (await anyRefers(tx, key, others));
      // Where a key only refuses deletes, the server tells what we may not see.
      if (refers || (refers === undefined && key.action !== null))
        throw await stillReferred(tx, table, key, refers === true);
    }
  }
}
