import { ident, literal, qualified } from '../pg/quote.ts';
import type { IndexConstraint, IndexRow } from './read-indexes.ts';

/** An index with the indexes of the partitions that are attached to it. */
export interface IndexTree {
  index: IndexRow;
  attached: IndexTree[];
}

const schemaName = (index: IndexRow): string => qualified({ schema: index.table.schema, name: index.name });

/** What takes the whole tree down: the attached indexes and constraints go with their root. */
export function dropStatements({ index }: IndexTree): string[] {
  if (index.constraint === null) return [`drop index ${schemaName(index)}`];
  return [`alter table ${qualified(index.table)} drop constraint ${ident(index.constraint.name)}`];
}

/** What builds the tree again, leaves first, each with the name and properties it had. */
export function buildStatements(tree: IndexTree): string[] {
  const { index } = tree;
  if (index.constraint !== null && index.table.relkind === 'p') return buildPartitionedKey(tree);
  return [
    ...tree.attached.flatMap(buildStatements),
    // Neither pg_get_indexdef nor pg_get_constraintdef prints the tablespace.
    `set local default_tablespace = ${literal(index.tablespace ?? '')}`,
    ...createStatements(index),
    ...tree.attached.map(
      (child) => `alter index ${schemaName(index)} attach partition ${schemaName(child.index)}`,
    ),
    ...propertyStatements(index),
  ];
}

function createStatements(index: IndexRow): string[] {
  const { constraint } = index;
  if (constraint === null) return [index.definition];
  const add = `alter table only ${qualified(index.table)} add constraint ${ident(constraint.name)}`;
  const usingIndex = index.table.relkind === 'r' && constraint.type !== 'x' && !constraint.period;
  if (!usingIndex) return [`${add} ${definitionWithStorage(index, constraint)}`];
  // The index first: CREATE INDEX lets readers in while it builds, ADD CONSTRAINT does not.
  const kind = constraint.type === 'p' ? 'primary key' : 'unique';
  return [
    index.definition,
    `${add} ${kind} using index ${ident(index.name)}${deferral(constraint).toLowerCase()}`,
  ];
}

/** As pg_get_constraintdef prints it, after everything else. */
function deferral({ deferrable, deferred }: IndexConstraint): string {
  return `${deferrable ? ' DEFERRABLE' : ''}${deferred ? ' INITIALLY DEFERRED' : ''}`;
}

/** The definition with the storage options, which pg_get_constraintdef prints for exclusion constraints only. */
function definitionWithStorage(index: IndexRow, constraint: IndexConstraint): string {
  if (index.storageOptions.length === 0 || constraint.type === 'x') return constraint.definition;
  const options = index.storageOptions
    .map(({ name, value }) => `${ident(name)} = ${literal(value)}`)
    .join(', ');
  const tail = deferral(constraint);
  const head = constraint.definition.slice(0, constraint.definition.length - tail.length);
  return `${head} with (${options})${tail}`;
}

/** Every index of a tree, parents first. */
export const allIndexes = (tree: IndexTree): IndexRow[] => [tree.index, ...tree.attached.flatMap(allIndexes)];

/**
 * A key of a partitioned table is declared at the root alone, so that the server derives the partitions'
 * keys: declared on a partition, a primary key would make the NOT NULL constraints there its own
 * (PostgreSQL 18). Then the derived ones get the names and storage they had.
 */
function buildPartitionedKey(tree: IndexTree): string[] {
  const { index } = tree;
  const [, ...derived] = allIndexes(tree);
  const add = `alter table ${qualified(index.table)} add constraint ${ident(index.constraint!.name)}`;
  return [
    `set local default_tablespace = ${literal(index.tablespace ?? '')}`,
    `${add} ${definitionWithStorage(index, index.constraint!)}`,
    ...(derived.length === 0 ? [] : [renameStatement(index, derived)]),
    ...derived.flatMap((child) => storageStatements(child, index)),
    ...[index, ...derived].flatMap(propertyStatements),
  ];
}

/** In two passes, because the names that the server made up may be another partition's. */
function renameStatement(root: IndexRow, derived: IndexRow[]): string {
  const values = derived.map(
    ({ table, name }) =>
      `(${literal(qualified(table))}::pg_catalog.regclass, ${literal(name)}::pg_catalog.text)`,
  );
  const wanted = `
    with recursive tree (oid) as (
      select ${literal(schemaName(root))}::pg_catalog.regclass::pg_catalog.oid
      union all select i.inhrelid from tree t join pg_catalog.pg_inherits i on i.inhparent = t.oid)
    select x.oid, x.oid::pg_catalog.regclass as index, w.name
    from tree t join pg_catalog.pg_index i on i.indexrelid = t.oid join pg_catalog.pg_class x on x.oid = t.oid
    join (values ${values.join(', ')}) as w (relation, name) on w.relation = i.indrelid where x.relname <> w.name`;
  return `do ${literal(`declare key record;
  begin
    for key in ${wanted} loop
      execute pg_catalog.format('alter index %s rename to %I', key.index, 'rowfleet ' || key.oid);
    end loop;
    for key in ${wanted} loop
      execute pg_catalog.format('alter index %s rename to %I', key.index, key.name);
    end loop;
  end`)}`;
}

/** What a derived index has otherwise than its root, which it took its storage from. */
function storageStatements(child: IndexRow, root: IndexRow): string[] {
  const name = schemaName(child);
  const listOf = ({ storageOptions }: IndexRow) =>
    storageOptions.map((option) => `${ident(option.name)} = ${literal(option.value)}`).join(', ');
  const own = listOf(child);
  const isLeaf = child.table.relkind === 'r';
  const statements: string[] = [];
  if (own !== listOf(root)) {
    if (root.storageOptions.length > 0) {
      statements.push(
        `alter index ${name} reset (${root.storageOptions.map((option) => ident(option.name)).join(', ')})`,
      );
    }
    if (own !== '') statements.push(`alter index ${name} set (${own})`);
    if (isLeaf) statements.push(`reindex index ${name}`); // It was filled by its root's options.
  }
  if (child.tablespace !== root.tablespace) {
    statements.push(
      `alter index ${name} set tablespace ${ident(child.tablespace ?? child.databaseTablespace)}`,
    );
  }
  return statements;
}

function propertyStatements(index: IndexRow): string[] {
  const name = schemaName(index);
  const table = qualified(index.table);
  const { constraint } = index;
  return [
    ...index.columnStatistics.map(
      ({ position, target }) => `alter index ${name} alter column ${position} set statistics ${target}`,
    ),
    ...index.extensions.map((extension) => `alter index ${name} depends on extension ${ident(extension)}`),
    ...(index.comment === null ? [] : [`comment on index ${name} is ${literal(index.comment)}`]),
    ...(constraint?.comment == null
      ? []
      : [`comment on constraint ${ident(constraint.name)} on ${table} is ${literal(constraint.comment)}`]),
    ...(index.clustered ? [`alter table only ${table} cluster on ${ident(index.name)}`] : []),
    ...(index.replicaIdentity
      ? [`alter table only ${table} replica identity using index ${ident(index.name)}`]
      : []),
  ];
}
