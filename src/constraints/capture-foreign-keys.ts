import { ident, literal, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { LoadedRelation } from './loaded-relations.ts';
import { type ForeignKeyRow, readForeignKeys } from './read-foreign-keys.ts';
import type { CapturedObject, ForeignKey, KeptObject } from './types.ts';

const pairOf = (key: {
  table: { schema: string; name: string };
  references: { schema: string; name: string };
}) => `${qualified(key.table)} ${qualified(key.references)}`;

function reasonToKeep(key: ForeignKeyRow, all: ForeignKeyRow[]): string | undefined {
  if (!key.owned) return 'the role does not own the referencing table';
  if (!key.mayReference) return 'the role may not reference the table again';
  if (!key.triggersAsNew) return 'its triggers were disabled, which only a superuser can restore';
  if (key.candidates.length > 1 && key.candidates[0] !== key.index)
    return 'it would come back upon another index';
  if (new Set(key.derived.map(pairOf)).size < key.derived.length) return 'its partitions refer to each other';
  const like = all.find((other) =>
    key.derived.some((derived) => other !== key && columnsOf(other) === columnsOf(key, derived)),
  );
  if (like !== undefined) return `${like.name} on a partition would become part of it`;
  return undefined;
}

/** What the server goes by when it looks for a partition's key that a new one can take over. */
const columnsOf = (
  key: ForeignKeyRow,
  tables: { table: RelationName; references: RelationName } = key,
): string => JSON.stringify([pairOf(tables), key.columns, key.referencedColumns]);

/**
 * Gives the keys that the server derives for partitions the names they had. It makes their names up as it
 * goes, from what is free, so what to rename can only be known once they are there. Two passes, because
 * names may have changed places.
 */
function renameStatement(key: ForeignKeyRow): string {
  const values = key.derived.map(
    (derived) =>
      `(${literal(qualified(derived.table))}::pg_catalog.regclass, ${literal(qualified(derived.references))}::pg_catalog.regclass, ${literal(derived.name)}::pg_catalog.text)`,
  );
  const wanted = `
    with recursive tree as (
      select o.oid, o.conrelid, o.confrelid, o.conname from pg_catalog.pg_constraint o
      where o.contype = 'f' and o.conname = ${literal(key.name)}
        and o.conrelid = ${literal(qualified(key.table))}::pg_catalog.regclass
      union all
      select o.oid, o.conrelid, o.confrelid, o.conname from pg_catalog.pg_constraint o
      join tree t on o.conparentid = t.oid)
    select t.oid, t.conrelid::pg_catalog.regclass as relation, t.conname, w.name
    from tree t join (values ${values.join(', ')}) as w (relation, referenced, name)
      on w.relation = t.conrelid and w.referenced = t.confrelid
    where t.conname <> w.name`;
  return `do ${literal(`declare key record;
  begin
    for key in ${wanted} loop
      execute pg_catalog.format('alter table only %s rename constraint %I to %I', key.relation, key.conname,
        'rowfleet ' || key.oid);
    end loop;
    for key in ${wanted} loop
      execute pg_catalog.format('alter table only %s rename constraint %I to %I', key.relation, key.conname, key.name);
    end loop;
  end`)}`;
}

function bringBackStatements(key: ForeignKeyRow): string[] {
  const comments = [key, ...key.derived].filter(({ comment }) => comment !== null);
  // A key that is not valid as a whole can be valid on some partitions.
  const validated = key.validated ? [] : key.derived.filter(({ validated }) => validated);
  return [
    `alter table ${qualified(key.table)} add constraint ${ident(key.name)} ${key.definition}`,
    ...(key.derived.length === 0 ? [] : [renameStatement(key)]),
    ...validated.map(
      (derived) => `alter table ${qualified(derived.table)} validate constraint ${ident(derived.name)}`,
    ),
    ...comments.map(
      ({ name, table, comment }) =>
        `comment on constraint ${ident(name)} on ${qualified(table)} is ${literal(comment!)}`,
    ),
  ];
}

/** What the validator checks; nothing where rows from before, or by declaration, may break the key. */
function checkOf(key: ForeignKeyRow, table: LoadedRelation | undefined): { foreignKey?: ForeignKey } {
  const { columns, references, referencedColumns, match, period } = key;
  if (!key.enforced || (!key.validated && table?.nonEmpty !== false)) return {};
  const { schema, name } = references;
  return { foreignKey: { columns, references: { schema, name }, referencedColumns, match, period } };
}

export interface CapturedForeignKeys {
  objects: CapturedObject[];
  kept: KeptObject[];
  /** OIDs of the keys that will be down, derived ones included. */
  down: Set<number>;
  /** OIDs of unique indexes that only their age tells apart for a key that comes back. */
  ambiguousIndexes: Set<number>;
}

/** The foreign keys on and to the loaded tables: those that come down, and those that stay with the reason. */
export async function captureForeignKeys(
  session: Session,
  loaded: LoadedRelation[],
): Promise<CapturedForeignKeys> {
  const relations = new Map(loaded.map((relation) => [relation.oid, relation]));
  const captured: CapturedForeignKeys = {
    objects: [],
    kept: [],
    down: new Set(),
    ambiguousIndexes: new Set(),
  };
  const all = await readForeignKeys(session, [...relations.keys()]);
  for (const [position, key] of all.entries()) {
    const relation = { schema: key.table.schema, name: key.table.name };
    const what = { kind: 'foreign key', relation, name: key.name } as const;
    if (key.candidates.length > 1) for (const oid of key.candidates) captured.ambiguousIndexes.add(oid);
    const reason = reasonToKeep(key, all);
    if (reason !== undefined) {
      captured.kept.push({ ...what, reason });
      continue;
    }
    for (const { oid } of [key, ...key.derived]) captured.down.add(oid);
    const table = relations.get(key.table.oid);
    const loadedTable = (table ?? relations.get(key.references.oid))?.loadedTable;
    captured.objects.push({
      ...what,
      ...(loadedTable === undefined ? {} : { loadedTable }),
      phase: 'constrain',
      order: position,
      takeDown: [`alter table ${qualified(key.table)} drop constraint ${ident(key.name)}`],
      bringBack: bringBackStatements(key),
      ...checkOf(key, table),
    });
  }
  return captured;
}
