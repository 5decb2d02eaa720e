import { type Column, readColumns, readUniqueKeys } from '../../catalog/columns.ts';
import { formatTypes } from '../../catalog/data-types.ts';
import { nearest } from '../../nearest.ts';
import { display, type RelationName } from '../../pg/quote.ts';
import { idMapTable } from '../id-maps.ts';
import type { PathSegment } from '../path.ts';
import type { LookupSpec } from '../plan.ts';
import type { ResolvedLookup } from '../resolved-plan.ts';
import { findTable } from '../sql/names.ts';
import { findColumn, type MappedColumn, mapColumn, type TypedExpression } from './columns.ts';
import type { ResolveContext } from './context.ts';
import { convert } from './conversions.ts';
import { digestOf } from './digests.ts';
import type { PlacedExpression } from './expressions.ts';
import { reportMissing } from './relations.ts';

/** A table that values are looked up in, with the columns that are meant. */
export interface LookupTable extends Pick<ResolvedLookup, 'idMap' | 'take' | 'missing'> {
  relation: RelationName;
  by: Column[];
}

/** Whether a value of a column of the target goes into no other one. */
const refuses = ({ target: { types } }: ResolveContext, from: Column, into: Column): boolean =>
  convert(types, types, types.byOid.get(from.typeOid)!, into).kind === 'refused';

async function findTableToLookIn(
  ctx: ResolveContext,
  spec: Extract<LookupSpec, { table: string }>,
  into: Column | undefined,
  path: PathSegment[],
): Promise<LookupTable | undefined> {
  const found = findTable(ctx.target.relations, ctx.target.searchPath, spec.table);
  reportMissing(ctx, 'target', [...path, 'lookup'], spec.table, found);
  const { relation } = found;
  if (!relation) return undefined;
  const name = display(relation);
  const { role } = ctx.target.facts;
  if (!relation.canSelect || relation.rowSecurity) {
    const [message, hint] = relation.canSelect
      ? [
          `row-level security of ${name} applies to ${role} in the target`,
          'Use its owner, or a role with BYPASSRLS.',
        ]
      : [
          `${role} may not read ${name} in the target`,
          `grant select on ${name} to ${role}, and usage on its schema.`,
        ];
    ctx.problems.error([...path, 'lookup'], message, hint);
    return undefined;
  }
  const columns = (await readColumns(ctx.target.session, [relation.oid])).get(relation.oid) ?? [];
  const names = Object.keys(spec.by);
  const by = names.map((column) => findColumn(ctx, columns, column, name, [...path, 'by', column]));
  const take = findColumn(ctx, columns, spec.take, name, [...path, 'take']);
  if (!take || !by.every((column) => column !== undefined)) return undefined;
  const down = ctx.filledBy.get(name)?.uniqueKeys ?? [];
  const keys = [...(await readUniqueKeys(ctx.target.session, relation.oid)), ...down];
  if (!keys.some((key) => key.every((column) => names.includes(column)))) {
    const list = names.join(', ');
    ctx.problems.error(
      [...path, 'by'],
      `several rows of ${name} may have the same ${list}, and nothing says which one is meant`,
      `Look up by a unique key of it, or create one: create unique index on ${name} (${list}).`,
    );
    return undefined;
  }
  if (into && refuses(ctx, take, into)) {
    const message = `${spec.take} of ${name} is ${take.type}, which does not go into ${into.name} (${into.type})`;
    ctx.problems.error([...path, 'take'], message, 'Take another column, or change the target’s.');
    return undefined;
  }
  if (spec.missing === 'null' && into?.notNull) {
    const message = `a key that is not there would give NULL, and ${into.name} is NOT NULL`;
    ctx.problems.error([...path, 'missing'], message, 'Leave missing out: such a row goes into quarantine.');
    return undefined;
  }
  const { schema } = relation;
  // A key that is too long for its column is not there: that is for the lookup to find out.
  const types = await formatTypes(
    ctx.target.session,
    by.map(({ typeOid }) => ({ oid: typeOid, typmod: -1 })),
  );
  const keyColumns = by.map((column, i) => ({ ...column, typmod: -1, type: types[i]! }));
  return {
    relation: { schema, name: relation.name },
    by: keyColumns,
    take: spec.take,
    missing: spec.missing,
  };
}

function findIdMap(
  ctx: ResolveContext,
  spec: Extract<LookupSpec, { idMap: string }>,
  into: Column | undefined,
  path: PathSegment[],
): LookupTable | undefined {
  const map = ctx.idMaps.get(spec.idMap);
  if (!ctx.idMaps.has(spec.idMap)) {
    const near = nearest(spec.idMap, ctx.idMaps.keys());
    const hint = near === undefined ? 'Declare it under id_maps.' : `Did you mean ${near}?`;
    ctx.problems.error([...path, 'id_map'], `there is no id map ${spec.idMap}`, hint);
  }
  if (!map) return undefined;
  if (map.old.length !== spec.key.length) {
    const message = `the keys of id map ${map.name} have ${map.old.length} parts, and ${spec.key.length} are given`;
    ctx.problems.error([...path, 'key'], message, 'Give them in the order in which id_maps has them.');
    return undefined;
  }
  if (into && refuses(ctx, map.new, into)) {
    const message = `the new ids of ${map.name} are ${map.new.type}, which does not go into ${into.name} (${into.type})`;
    ctx.problems.error([...path, 'id_map'], message, 'Change new under id_maps, or the target’s column.');
    return undefined;
  }
  return { relation: idMapTable(map.name), idMap: map.name, by: map.old, take: 'new_id', missing: 'error' };
}

/** The table that a column is looked up in. Undefined when something is wrong, which is reported. */
export async function findLookup(
  ctx: ResolveContext,
  spec: LookupSpec,
  into: Column | undefined,
  path: PathSegment[],
): Promise<LookupTable | undefined> {
  return 'table' in spec ? findTableToLookIn(ctx, spec, into, path) : findIdMap(ctx, spec, into, path);
}

/** A column whose value is looked up: its keys fitted to the columns of the table they are looked up in. */
export function lookedUp(
  ctx: ResolveContext,
  column: Column,
  { by, ...lookup }: LookupTable,
  typed: TypedExpression[],
  placed: PlacedExpression[],
): MappedColumn | undefined {
  const keys = by.map((each, i) => mapColumn(ctx, typed[i]!, each, placed[i]!.path));
  if (!keys.every((key) => key !== undefined)) return undefined;
  const from = lookup.idMap ?? display(lookup.relation);
  return {
    column: {
      name: column.name,
      expression: `${from}(${typed.map(({ expression }) => expression).join(', ')})`,
      ...{ copyExpression: '', compareExpression: '' },
      sourceType: typed.map(({ type }) => type).join(', '),
      targetType: column.type,
      digest: digestOf(ctx.target.types, column, ctx.source.facts.encoding === ctx.target.facts.encoding),
      notNull: column.notNull,
      lookup: { ...lookup, by: keys.map((key) => key.column) },
    },
    binary: keys.every(({ binary }) => binary),
  };
}
