import type { DataType, TypeCatalog } from '../catalog/data-types.ts';
import type { ValueName, ValueType } from './types.ts';

const own: Record<string, ValueName> = {
  int8: 'int8',
  int4: 'int4',
  int2: 'int2',
  oid: 'oid',
  float8: 'float8',
  float4: 'float4',
  numeric: 'numeric',
  bool: 'bool',
  json: 'json',
  jsonb: 'jsonb',
  bytea: 'bytea',
  timestamptz: 'timestamptz',
  timestamp: 'timestamp',
  date: 'date',
  uuid: 'uuid',
  time: 'plain',
  timetz: 'plain',
  interval: 'plain',
  text: 'text',
  varchar: 'text',
  bpchar: 'text',
};

/** They have elements, but another form. */
const noArrays = new Set(['int2vector', 'oidvector']);

/** What a type's values are to a transform. Domains are what they are over. */
export function valueTypeOf(types: TypeCatalog, oid: number): ValueType {
  const type = types.byOid.get(oid);
  if (type?.kind === 'd') return valueTypeOf(types, type.base);
  const element = type && types.byOid.get(type.element);
  // box[] and arrays of some extensions' types are not cut at commas.
  if (type && element?.delimiter === ',' && !noArrays.has(type.name))
    return { ...valueTypeOf(types, element.oid), array: true };
  return { name: nameOf(type), array: false };
}

function nameOf(type: DataType | undefined): ValueName {
  if (type?.kind === 'e') return 'text';
  return (type?.schema === 'pg_catalog' ? own[type.name] : undefined) ?? 'other';
}
