import type { Column } from '../../catalog/columns.ts';
import type { DataType, TypeCatalog } from '../../catalog/data-types.ts';
import { ident } from '../../pg/quote.ts';

/** How values of one type get into a target column; `cast` is a type to cast to on the source. */
export type Conversion =
  | { kind: 'as is' }
  | { kind: 'cast'; cast: string; to: DataType; warning?: string }
  | { kind: 'refused'; message: string; hint: string };

/** Types below this oid are the same in every database; above, initdb or users made them. */
const firstUnstableOid = 10_000;

export const isBuiltin = (type: DataType): boolean =>
  type.oid < firstUnstableOid && type.schema === 'pg_catalog';

const builtinType = (type: DataType): string => `pg_catalog.${ident(type.name)}`;

const zoned = new Set(['timestamptz', 'timetz']);
const temporal = new Set(['timestamptz', 'timetz', 'timestamp', 'time', 'date']);
const inexact = new Set(['float4', 'float8']);

/** The type itself, or what a domain is over in the end. */
export function baseType(types: TypeCatalog, type: DataType): DataType {
  const base = type.kind === 'd' ? types.byOid.get(type.base) : undefined;
  return base ? baseType(types, base) : type;
}

/** What an automatic conversion would lose without an error, besides what `fits.ts` tells; none when nothing. */
function lossOf(from: string, to: string): string | undefined {
  if (inexact.has(from) && to === 'numeric') return 'digits beyond the 15th (real: the 6th) are lost';
  if (from === 'float8' && to === 'float4') return 'digits beyond the 6th are lost';
  if ((from === 'numeric' || from === 'int8') && inexact.has(to))
    return 'digits that the type cannot hold are lost';
  if (from === 'int4' && to === 'float4') return 'digits beyond the 6th are lost';
  if (from === 'timestamp' && to === 'date') return 'the time of day is lost';
  if (from === 'timestamp' && to === 'time') return 'the date is lost';
  if (from === 'interval' && to === 'time') return 'whole days are lost';
  if (from === 'inet' && to === 'cidr') return 'bits to the right of the netmask are cleared';
  if (from === 'json' && to === 'jsonb') return 'spacing, order and doubled keys of the json are lost';
  if (from === 'bpchar' && to !== 'bpchar') return 'trailing blanks are dropped';
  return undefined;
}

/** Whether an INSERT would convert on its own: a cast of pg_cast, by elements for arrays, or text of anything. */
function assigns(types: TypeCatalog, from: DataType, to: DataType): boolean {
  if (types.casts.has(`${from.oid}>${to.oid}`)) return true;
  const [fromElement, toElement] = [types.byOid.get(from.element), types.byOid.get(to.element)];
  if (fromElement && toElement) {
    const same = fromElement.oid === toElement.oid;
    return same || assigns(types, baseType(types, fromElement), toElement);
  }
  return to.category === 'S' && to.name !== 'char' && to.name !== 'name';
}

const elementName = (types: TypeCatalog, type: DataType): string =>
  types.byOid.get(type.element)?.name ?? type.name;

function convertBuiltin(types: TypeCatalog, from: DataType, to: DataType): Conversion {
  if (from.oid === to.oid) return { kind: 'as is' };
  const [fromName, toName] = [elementName(types, from), elementName(types, to)];
  if (temporal.has(fromName) && temporal.has(toName) && (zoned.has(fromName) || zoned.has(toName))) {
    return {
      kind: 'refused',
      message: 'which of the two moments it means depends on a time zone',
      hint: "Name the zone: (…) at time zone 'UTC', and cast the result if need be.",
    };
  }
  // Without the typmod: an explicit cast to varchar(3) or bit(3) would cut in silence, COPY raises an error.
  if (assigns(types, from, to)) {
    const loss = lossOf(fromName, toName);
    return { kind: 'cast', cast: builtinType(to), to, ...(loss === undefined ? {} : { warning: loss }) };
  }
  return {
    kind: 'refused',
    message: 'PostgreSQL does not convert between them on its own',
    hint: `Convert it in the plan, for example (…)::${to.name.startsWith('_') ? `${toName}[]` : toName}.`,
  };
}

const textual = new Set(['text', 'varchar', 'bpchar', 'unknown']);

/** Into a type that users or extensions made: by name where both sides have it, else as text that its input reads. */
function convertToUserType(
  source: TypeCatalog,
  target: TypeCatalog,
  from: DataType,
  to: DataType,
): Conversion {
  if (from.name === to.name && !isBuiltin(from)) return { kind: 'as is' };
  if (textual.has(from.name) && isBuiltin(from)) return { kind: 'as is' };
  const [fromElement, toElement] = [source.byOid.get(from.element), target.byOid.get(to.element)];
  if (fromElement && toElement) {
    const [inner, outer] = [baseType(source, fromElement), baseType(target, toElement)];
    const same = isBuiltin(outer)
      ? inner.oid === outer.oid
      : convertToUserType(source, target, inner, outer).kind === 'as is';
    if (same) return { kind: 'as is' };
  }
  return {
    kind: 'refused',
    message: 'the target’s type is not one that rowfleet can convert to',
    hint: 'Write an expression that gives text as the target’s type reads it: (…)::text.',
  };
}

/** How values of type `from` (of the source) get into `column` (of the target). */
export function convert(
  source: TypeCatalog,
  target: TypeCatalog,
  from: DataType,
  column: Column,
): Conversion {
  const to = baseType(target, target.byOid.get(column.typeOid)!);
  const plainFrom = baseType(source, from);
  if (!isBuiltin(to)) return convertToUserType(source, target, plainFrom, to);
  return convertBuiltin(source, plainFrom, source.byOid.get(to.oid) ?? to);
}

/** Labels that the target's enum of the same name lacks. */
export function missingLabels(
  source: TypeCatalog,
  target: TypeCatalog,
  from: DataType,
  column: Column,
): string[] {
  const to = baseType(target, target.byOid.get(column.typeOid)!);
  const twin = baseType(source, from);
  if (!to.labels || !twin.labels) return [];
  return twin.labels.filter((label) => !to.labels!.includes(label));
}
