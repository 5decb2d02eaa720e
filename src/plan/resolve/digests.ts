import type { Column } from '../../catalog/columns.ts';
import type { DataType, TypeCatalog } from '../../catalog/data-types.ts';
import { ident } from '../../pg/quote.ts';
import type { DigestMethod } from '../resolved-plan.ts';
import { baseType, isBuiltin } from './conversions.ts';

/**
 * Types whose wire form is the same on every server and means the same there. Left out: oids and reg* (meaningless
 * elsewhere), json and xml (text that the sender may recode), composites, and all that users made.
 */
const binary = new Set([
  'bool', 'bytea', 'char', 'name', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'text', 'varchar', 'bpchar',
  'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'interval', 'uuid', 'json', 'jsonb', 'bit', 'varbit', 'money',
  'inet', 'cidr', 'macaddr', 'macaddr8', 'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle',
  'int4range', 'int8range', 'numrange', 'daterange', 'tsrange', 'tstzrange',
]); // biome-ignore format: one list

/** Whether values of `from` may travel in binary into a column of type `to`. */
export function travelsInBinary(types: TypeCatalog, from: DataType, to: DataType): boolean {
  if (from.oid !== to.oid || !isBuiltin(to)) return false;
  const element = types.byOid.get(to.element);
  return element ? binary.has(element.name) : binary.has(to.name);
}

/**
 * Types whose own hash is equal exactly when the values are. Floats are not among them: -0 hashes as 0; neither are
 * intervals (30 days hash as a month) and char(n) (blanks do not count).
 */
const native = new Set([
  'bool', 'bytea', 'int2', 'int4', 'int8', 'uuid', 'date', 'time', 'timetz', 'timestamp', 'timestamptz',
]); // biome-ignore format: one list

/** How the validator hashes a target column. Text may use its hash where both servers store the same bytes. */
export function digestOf(target: TypeCatalog, column: Column, sameEncoding: boolean): DigestMethod {
  const type = target.byOid.get(column.typeOid)!;
  if (!isBuiltin(type)) return 'text';
  if (type.name === 'numeric') return 'numeric';
  if (type.name === 'text' || type.name === 'varchar')
    return sameEncoding && column.deterministic ? 'native' : 'text';
  return native.has(type.name) ? 'native' : 'text';
}

/** A typmod as it counts: a domain's own is that of what it is over. */
export function typmodOf(target: TypeCatalog, type: DataType, typmod: number): number {
  const base = type.kind === 'd' ? target.byOid.get(type.base) : undefined;
  return base && typmod === -1 ? typmodOf(target, base, type.baseTypmod) : typmod;
}

const rounded = new Set(['time', 'timetz', 'timestamp', 'timestamptz', 'interval']);

/** numeric(p, s): the scale in a typmod, which is signed since PostgreSQL 15. */
export const scaleOf = (typmod: number): number => (((typmod - 4) & 0x7ff) ^ 1024) - 1024;

/** A type with its typmod as SQL that names it exactly; for types that round. */
function withTypmod(type: DataType, element: string, typmod: number): string {
  const name = `pg_catalog.${ident(type.name)}`;
  if (element === 'numeric') return `${name}(${((typmod - 4) >> 16) & 0xffff}, ${scaleOf(typmod)})`;
  if (element !== 'interval') return `${name}(${typmod})`;
  const precision = typmod & 0xffff;
  const fields = (typmod >> 16) & 0x7fff;
  return precision === 0xffff ? `${name}(${fields})` : `${name}(${fields}, ${precision})`;
}

/**
 * `expression` (as it is copied) the way the target stores it: rounded where its type rounds in silence. Lengths
 * are left alone, since the target refuses what is too long and a cast would cut it. Types that only the target
 * knows, and domains, are compared as text.
 */
export function comparable(target: TypeCatalog, expression: string, column: Column): string {
  const type = target.byOid.get(column.typeOid)!;
  const base = baseType(target, type);
  const inner = `(${expression}\n)`;
  if (!isBuiltin(base)) return `${inner}::pg_catalog.text collate pg_catalog."C"`;
  const typmod = typmodOf(target, type, column.typmod);
  const scalar = target.byOid.get(base.element)?.name ?? base.name;
  let stored = inner;
  if (base.name === 'numeric' && typmod !== -1) stored = `pg_catalog.round(${inner}, ${scaleOf(typmod)})`;
  else if (typmod !== -1 && (rounded.has(scalar) || scalar === 'numeric'))
    stored = `${inner}::${withTypmod(base, scalar, typmod)}`;
  if (type.kind === 'd') return `(${stored})::pg_catalog.text collate pg_catalog."C"`;
  // An expression's own collation may be nondeterministic or unsettled; bytes are what counts.
  return base.name === 'text' || base.name === 'varchar' ? `${stored} collate pg_catalog."C"` : stored;
}
