import { qualified } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { allIndexes, buildStatements, dropStatements, type IndexTree } from './index-statements.ts';
import type { LoadedRelation } from './loaded-relations.ts';
import { type Dependent, type IndexRow, readDependents, readIndexes } from './read-indexes.ts';
import type { CapturedObject, KeptObject, UniqueKey } from './types.ts';

function indexTrees(indexes: IndexRow[]): IndexTree[] {
  const trees = new Map(indexes.map((index) => [index.oid, { index, attached: [] as IndexTree[] }]));
  for (const tree of trees.values()) {
    if (tree.index.parent !== null) trees.get(tree.index.parent)?.attached.push(tree);
  }
  return [...trees.values()].filter(({ index }) => index.parent === null || !trees.has(index.parent));
}

const kindOf = ({ constraint, unique }: IndexRow): CapturedObject['kind'] => {
  if (constraint?.type === 'p') return 'primary key';
  if (constraint?.type === 'x') return 'exclusion';
  return unique ? 'unique' : 'index';
};

/** Why this index could not come back exactly as it is, in words; undefined where it could. */
function notRestorable(index: IndexRow, relation: LoadedRelation): string | undefined {
  if (!relation.owned) return 'the role does not own the table';
  if (!relation.mayCreate) return 'the role may not create in the schema';
  if (!index.mayUseTablespace) return `the role may not create in tablespace ${index.tablespace}`;
  // Since PostgreSQL 17 an index is built with a safe search_path; on an empty table nobody has noticed yet.
  if (index.pathFunction !== null)
    return `${index.pathFunction} may need a search_path, and index builds have none`;
  if (!index.valid) return 'the index is not valid';
  if (index.constraint !== null && index.constraint.name !== index.name)
    return 'index and constraint differ in name';
  return undefined;
}

/** Why the keys that the server will derive for the partitions could not be those that are there now. */
function notDerivable(tree: IndexTree, all: IndexRow[]): string | undefined {
  const { index } = tree;
  if (index.constraint === null) return undefined;
  if (index.constraint.type === 'p' && index.constraint.inheritedNotNull) return 'its NOT NULL is inherited';
  const nodes = allIndexes(tree);
  const storage = (node: IndexRow) => JSON.stringify([node.tablespace, node.storageOptions]);
  if (nodes.some((node) => node.table.relkind === 'p' && storage(node) !== storage(index))) {
    return 'a partitioned index below it is stored otherwise';
  }
  const tables = new Set(nodes.slice(1).map((node) => node.table.oid));
  const like = all.find(
    (other) =>
      other.parent === null &&
      other.constraint !== null &&
      tables.has(other.table.oid) &&
      other.expressions.join() === index.expressions.join(),
  );
  return like === undefined ? undefined : `${like.name} on a partition would become part of it`;
}

/** Why a unique or exclusion index is needed while rows come in; undefined where it is not. */
function neededWhileLoading(index: IndexRow, relation: LoadedRelation): string | undefined {
  if (relation.nonEmpty) return 'the table is not empty';
  if (relation.conflictRule) return 'a rule with ON CONFLICT needs it';
  const identifiesRows = index.constraint?.type === 'p' || index.replicaIdentity;
  if (relation.published && identifiesRows) return 'a publication finds rows by it';
  return undefined;
}

interface Surroundings {
  indexes: IndexRow[];
  relations: Map<number, LoadedRelation>;
  dependents: Dependent[];
  /** Plan tables with a partition that is a foreign table, and so has no index to attach. */
  withForeignPartitions: Set<string>;
  /** Foreign keys, with those derived from them, that will be down. */
  foreignKeysDown: Set<number>;
  /** Unique indexes among which a new foreign key would choose by age. */
  ambiguous: Set<number>;
}

function reasonToKeep(tree: IndexTree, around: Surroundings): string | undefined {
  const nodes = allIndexes(tree);
  const oids = new Set(nodes.flatMap((index) => [index.oid, index.constraint?.oid ?? index.oid]));
  if (tree.index.parent !== null) return 'it belongs to an index of a table that is not loaded';
  for (const index of nodes) {
    const relation = around.relations.get(index.table.oid)!;
    const enforces = index.unique || index.constraint !== null;
    const reason =
      notRestorable(index, relation) ?? (enforces ? neededWhileLoading(index, relation) : undefined);
    if (reason !== undefined) return reason;
    if (index.table.relkind === 'p' && around.withForeignPartitions.has(qualified(relation.loadedTable))) {
      return 'a foreign partition would keep it invalid';
    }
    if (around.ambiguous.has(index.oid)) return 'a foreign key could choose another index when it comes back';
  }
  const different = notDerivable(tree, around.indexes);
  if (different !== undefined) return different;
  const dependent = around.dependents.find(
    ({ on, foreignKey }) => oids.has(on) && !(foreignKey !== null && around.foreignKeysDown.has(foreignKey)),
  );
  return dependent === undefined ? undefined : `needed by ${dependent.description}`;
}

function uniqueKeyOf(index: IndexRow): UniqueKey | undefined {
  if (!index.unique || index.constraint?.period === true) return undefined;
  return {
    expressions: index.expressions,
    ...(index.predicate === null ? {} : { predicate: index.predicate }),
    nullsNotDistinct: index.nullsNotDistinct,
  };
}

/**
 * Only CREATE INDEX shares its table lock with its like. What takes a stronger one gets an order of its own.
 */
function orderOf(tree: IndexTree, position: number): number {
  const shares = allIndexes(tree).every(
    (index) => index.constraint === null && !index.clustered && !index.replicaIdentity,
  );
  return shares ? 1_000_000 : position;
}

/** The indexes on the loaded tables: those that come down, and those that stay with the reason. */
export async function captureIndexes(
  session: Session,
  loaded: LoadedRelation[],
  foreignKeys: { down: Set<number>; ambiguousIndexes: Set<number> },
): Promise<{ objects: CapturedObject[]; kept: KeptObject[] }> {
  const indexes = await readIndexes(
    session,
    loaded.map((relation) => relation.oid),
  );
  const around: Surroundings = {
    indexes,
    relations: new Map(loaded.map((relation) => [relation.oid, relation])),
    withForeignPartitions: new Set(
      loaded.filter(({ relkind }) => relkind === 'f').map(({ loadedTable }) => qualified(loadedTable)),
    ),
    dependents: await readDependents(session, indexes),
    foreignKeysDown: foreignKeys.down,
    ambiguous: foreignKeys.ambiguousIndexes,
  };
  const objects: CapturedObject[] = [];
  const kept: KeptObject[] = [];
  for (const [position, tree] of indexTrees(indexes).entries()) {
    const { index } = tree;
    const relation = { schema: index.table.schema, name: index.table.name };
    const what = { kind: kindOf(index), relation, name: index.name };
    const reason = reasonToKeep(tree, around);
    if (reason !== undefined) {
      kept.push({ ...what, reason });
      continue;
    }
    const uniqueKey = uniqueKeyOf(index);
    objects.push({
      ...what,
      loadedTable: around.relations.get(index.table.oid)!.loadedTable,
      phase: 'index',
      order: orderOf(tree, position),
      takeDown: dropStatements(tree),
      bringBack: buildStatements(tree),
      ...(uniqueKey === undefined ? {} : { uniqueKey }),
    });
  }
  return { objects, kept };
}
