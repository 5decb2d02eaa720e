import type { ValueName, ValueType } from '../types.ts';
import {
  expectBool,
  expectBytes,
  expectFloat,
  expectInt2,
  expectInt4,
  expectInt8,
  expectJson,
  expectNumeric,
  expectOid,
  expectText,
  expectTime,
  Misfit,
  typeInWords,
} from './expected.ts';

/** Turns a value that is neither null nor undefined into its text, not yet escaped for COPY. Throws Misfit. */
export type Encode = (value: unknown) => string;

const float: Encode = (value) => (Object.is(expectFloat(value), -0) ? '-0' : String(value));

// Under this, a loop is faster than the way through Node's encoder.
const shortBytes = 64;
const digits = Buffer.from('0123456789abcdef');
const hex = Buffer.alloc(2 * shortBytes);

function hexOf(value: unknown): string {
  const bytes = expectBytes(value);
  if (bytes.length > shortBytes)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
  let at = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    hex[at++] = digits[byte >> 4]!;
    hex[at++] = digits[byte & 15]!;
  }
  return hex.toString('latin1', 0, at);
}

const timestamptz: Encode = (value) => {
  const time = expectTime(value);
  return typeof time === 'string' ? time : time.toISOString();
};

const ofValue: Record<ValueName, Encode> = {
  int8: (value) => `${expectInt8(value)}`,
  int4: (value) => `${expectInt4(value)}`,
  int2: (value) => `${expectInt2(value)}`,
  oid: (value) => `${expectOid(value)}`,
  float8: float,
  float4: float,
  numeric: expectNumeric,
  bool: (value) => (expectBool(value) ? 't' : 'f'),
  json: expectJson,
  jsonb: expectJson,
  bytea: (value) => `\\x${hexOf(value)}`,
  timestamptz,
  timestamp: expectText,
  date: expectText,
  uuid: expectText,
  plain: expectText,
  text: expectText,
  other: expectText,
};

const isJson = (name: ValueName): boolean => name === 'json' || name === 'jsonb';
const unquoted = new Set<ValueName>(['int8', 'int4', 'int2', 'oid', 'float8', 'float4', 'bool']);

function arrayText(value: unknown, name: ValueName): string {
  if (!Array.isArray(value)) throw new Misfit('an array', typeInWords(value));
  const encode = ofValue[name];
  const elements = value.map((element) => {
    if (element === null) return 'NULL';
    // An element of a json array may be an array itself; all others are dimensions.
    if (Array.isArray(element) && !isJson(name)) return arrayText(element, name);
    const encoded = element === undefined ? misfitElement() : encode(element);
    return unquoted.has(name) ? encoded : `"${encoded.replace(/["\\]/g, '\\$&')}"`;
  });
  return `{${elements.join(',')}}`;
}

function misfitElement(): never {
  throw new Misfit('null or a value in each place of the array', 'undefined');
}

/** What is escaped, and two more: a range is looked through faster. */
const special = /[\\\t-\r]/;
const escapes: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A value's text as a field of COPY FROM. */
export const escapeField = (field: string): string =>
  special.test(field) ? field.replace(/[\\\n\r\t]/g, (character) => escapes[character]!) : field;

/** JSON never holds the others as they are. */
const escapeBackslashes = (field: string): string =>
  field.includes('\\') ? field.replaceAll('\\', '\\\\') : field;

/** How values of a type are written as fields of COPY FROM in text format. */
export function encoderOf({ name, array }: ValueType): Encode {
  const encode = ofValue[name];
  if (array) return (value) => escapeField(arrayText(value, name));
  if (name === 'bytea') return (value) => `\\\\x${hexOf(value)}`;
  if (isJson(name)) return (value) => escapeBackslashes(encode(value));
  return unquoted.has(name) ? encode : (value) => escapeField(encode(value));
}
