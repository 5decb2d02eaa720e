import { ident, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { LoadedRelation } from './loaded-relations.ts';
import type { CapturedObject, KeptObject } from './types.ts';

/** pg_trigger.tgenabled: fires on origin, on replica, always, or never. */
type TriggerState = 'O' | 'R' | 'A' | 'D';

interface TriggerRow {
  oid: string;
  parent: string | null;
  table: number;
  name: string;
  state: TriggerState;
}

const verbs: Record<TriggerState, string> = {
  O: 'enable trigger',
  R: 'enable replica trigger',
  A: 'enable always trigger',
  D: 'disable trigger',
};

const query = `
  select t.oid::text as oid, nullif(t.tgparentid, 0)::text as parent, t.tgrelid::int8::int as table,
    t.tgname as name, t.tgenabled::text as state
  from pg_catalog.pg_trigger t where t.tgrelid = any ($1::pg_catalog.oid[]) and not t.tgisinternal
  order by t.tgname, t.oid`;

/**
 * The user triggers on the loaded tables. A partitioned table's row trigger and its copies on the partitions
 * are one object: enabling the parent's reaches the partitions' before PostgreSQL 15, so each one's own
 * state is set after it, parents first.
 */
export async function captureTriggers(
  session: Session,
  loaded: LoadedRelation[],
): Promise<{ objects: CapturedObject[]; kept: KeptObject[] }> {
  const relations = new Map(loaded.map((relation) => [relation.oid, relation]));
  const { rows } = await session.query<TriggerRow>(query, [[...relations.keys()]]);
  const byOid = new Map(rows.map((row) => [row.oid, row]));
  const rootOf = (row: TriggerRow): TriggerRow => {
    const parent = row.parent === null ? undefined : byOid.get(row.parent);
    return parent === undefined ? row : rootOf(parent);
  };
  const depth = new Map(loaded.map(({ oid }, i) => [oid, i])); // Parents come first.
  const groups = new Map<TriggerRow, TriggerRow[]>();
  for (const row of rows) groups.set(rootOf(row), [...(groups.get(rootOf(row)) ?? []), row]);
  const objects: CapturedObject[] = [];
  const kept: KeptObject[] = [];
  for (const [root, group] of groups) {
    if (group.every(({ state }) => state === 'D')) continue;
    const members = group.toSorted((a, b) => depth.get(a.table)! - depth.get(b.table)!);
    const relation = relations.get(root.table)!;
    const what = { kind: 'trigger', relation: nameOf(relation), name: root.name } as const;
    const foreign = members.find(({ table }) => !relations.get(table)!.owned);
    if (foreign !== undefined) {
      kept.push({ ...what, reason: 'the role does not own the table' });
      continue;
    }
    const alter = ({ table, name }: TriggerRow, verb: string) =>
      `alter table only ${qualified(relations.get(table)!)} ${verb} ${ident(name)}`;
    objects.push({
      ...what,
      loadedTable: relation.loadedTable,
      phase: 'constrain',
      order: 1_000_000, // Behind the foreign keys, so that validating them fires nothing.
      takeDown: members.map((member) => alter(member, 'disable trigger')),
      bringBack: members.map((member) => alter(member, verbs[member.state])),
    });
  }
  return { objects, kept };
}

const nameOf = ({ schema, name }: RelationName): RelationName => ({ schema, name });
