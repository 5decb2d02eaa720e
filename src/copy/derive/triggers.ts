import { markAmongRows } from '../../pg/errors.ts';
import { ident, qualified, type RelationName } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';

interface FiringTrigger extends RelationName {
  trigger: string;
  always: boolean;
}

// Parents first: what is set on a partitioned table reaches its partitions on some versions.
const firing = `
  select n.nspname as schema, c.relname as name, t.tgname as trigger, t.tgenabled = 'A' as always
    from (select $1::pg_catalog.regclass::pg_catalog.oid as relid, 0 as level
          union select p.relid::pg_catalog.oid, p.level from pg_catalog.pg_partition_tree($1::pg_catalog.regclass) p) tree
    join pg_catalog.pg_class c on c.oid = tree.relid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_trigger t on t.tgrelid = c.oid
   where not t.tgisinternal and t.tgenabled in ('O', 'A') and pg_catalog.pg_has_role(c.relowner, 'USAGE')
   order by tree.level, n.nspname, c.relname, t.tgname`;

/**
 * Keeps the user triggers of a table from firing, as a copy does, for the rest of this transaction, and returns what
 * lets them fire again in it. Until then nobody else writes to a table that has any. Those of a table that the role
 * does not own fire, as in a copy.
 */
export async function silenceTriggers(target: Session, relation: RelationName): Promise<() => Promise<void>> {
  const { rows } = await target.query<FiringTrigger>(firing, [qualified(relation)]);
  const alter = (verb: (trigger: FiringTrigger) => string) =>
    rows.map((row) => `alter table only ${qualified(row)} ${verb(row)} trigger ${ident(row.trigger)}`);
  if (rows.length > 0)
    await target.query(
      ["set local lock_timeout = '5s'", ...alter(() => 'disable'), 'set local lock_timeout = 0'].join('; '),
    );
  return async () => {
    // A table with deferred work cannot be altered; and what is wrong is to show before the commit.
    await target.query('set constraints all immediate').catch((error) => {
      throw markAmongRows(error);
    });
    if (rows.length > 0)
      await target.query(alter(({ always }) => (always ? 'enable always' : 'enable')).join('; '));
  };
}
