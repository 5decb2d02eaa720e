import type { ValueName, ValueType } from './types.ts';

/** A value that its column cannot take. */
export class Misfit extends Error {
  readonly expected: string;
  readonly found: string;

  constructor(expected: string, found: string) {
    super(`expected ${expected}, found ${found}`);
    this.expected = expected;
    this.found = found;
  }
}

/** Turns a value that is neither null nor undefined into its text, not yet escaped for COPY. Throws Misfit. */
export type Encode = (value: unknown) => string;

function numberType(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return 'an infinite number';
  return Number.isInteger(value) ? 'a whole number' : 'a number with a fraction';
}

/** What a value is, in words that tell nothing of the value. */
export function typeInWords(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'number') return numberType(value);
  if (typeof value !== 'object') return `a ${typeof value}`;
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Uint8Array) return 'a Uint8Array';
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : 'a Date';
  return value instanceof Promise ? 'a promise' : 'an object';
}

function integer(min: bigint, max: bigint): Encode {
  const expected = `a whole number (number or bigint) from ${min} to ${max}`;
  const [low, high] = [Number(min), Number(max)];
  const isSafe = (value: number) =>
    low >= -(2 ** 52) ? value >= low && value <= high : Number.isSafeInteger(value);
  return (value) => {
    if (typeof value === 'bigint') {
      if (value < min || value > max) throw new Misfit(expected, 'a bigint out of that range');
      return `${value}`;
    }
    if (typeof value !== 'number' || !Number.isInteger(value)) throw new Misfit(expected, typeInWords(value));
    if (!isSafe(value))
      throw new Misfit(expected, 'a number out of that range, or beyond 2^53 where it is not exact');
    return `${value}`;
  };
}

const float: Encode = (value) => {
  if (typeof value !== 'number') throw new Misfit('a number', typeInWords(value));
  return Object.is(value, -0) ? '-0' : String(value);
};

type WellFormable = string & { isWellFormed(): boolean };

function requireWellFormed(value: string, expected: string): string {
  // Half a pair would become U+FFFD without a word.
  if (!(value as WellFormable).isWellFormed())
    throw new Misfit(`${expected} of whole characters`, 'half of a surrogate pair');
  return value;
}

const text: Encode = (value) => {
  if (typeof value !== 'string') throw new Misfit('a string', typeInWords(value));
  return requireWellFormed(value, 'a string');
};

const numeric: Encode = (value) => {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'string') throw new Misfit('a string (or bigint)', typeInWords(value));
  return requireWellFormed(value, 'a string');
};

const bool: Encode = (value) => {
  if (typeof value !== 'boolean') throw new Misfit('a boolean', typeInWords(value));
  return value ? 't' : 'f';
};

const jsonWords = 'a value of JSON (object, array, string, number or boolean)';

const json: Encode = (value) => {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Misfit(jsonWords, typeInWords(value));
  let encoded: string | undefined;
  try {
    encoded = JSON.stringify(value);
  } catch {
    throw new Misfit(jsonWords, `${typeInWords(value)} that JSON cannot hold (a bigint in it, or a circle)`);
  }
  if (encoded === undefined) throw new Misfit(jsonWords, typeInWords(value));
  return encoded;
};

// Under this, a loop is faster than the way through Node's encoder.
const shortBytes = 64;
const digits = Buffer.from('0123456789abcdef');
const hex = Buffer.alloc(2 * shortBytes);

function hexOf(bytes: unknown): string {
  if (!(bytes instanceof Uint8Array)) throw new Misfit('a Uint8Array', typeInWords(bytes));
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
  if (!(value instanceof Date)) return text(value);
  const year = value.getUTCFullYear();
  if (Number.isNaN(year)) throw new Misfit('a string or a Date', 'an invalid Date');
  if (year < 1 || year > 9999)
    throw new Misfit('a string or a Date of the years 1 to 9999', 'a Date of another year');
  return value.toISOString();
};

const ofValue: Record<ValueName, Encode> = {
  int8: integer(-(2n ** 63n), 2n ** 63n - 1n),
  int4: integer(-(2n ** 31n), 2n ** 31n - 1n),
  int2: integer(-(2n ** 15n), 2n ** 15n - 1n),
  oid: integer(0n, 2n ** 32n - 1n),
  float8: float,
  float4: float,
  numeric,
  bool,
  json,
  bytea: (value) => `\\x${hexOf(value)}`,
  timestamptz,
  plain: text,
  text,
};

const quoted = new Set<ValueName>(['json', 'bytea', 'text', 'numeric', 'timestamptz', 'plain']);

function arrayText(value: unknown, name: ValueName): string {
  if (!Array.isArray(value)) throw new Misfit('an array', typeInWords(value));
  const encode = ofValue[name];
  const elements = value.map((element) => {
    if (element === null) return 'NULL';
    // An element of a json array may be an array itself; all others are dimensions.
    if (Array.isArray(element) && name !== 'json') return arrayText(element, name);
    const encoded = element === undefined ? misfitElement() : encode(element);
    return quoted.has(name) ? `"${encoded.replace(/["\\]/g, '\\$&')}"` : encoded;
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

const mayNeedEscapes = new Set<ValueName>(['text', 'numeric', 'timestamptz', 'plain']);

/** How values of a type are written as fields of COPY FROM. */
export function encoderOf({ name, array }: ValueType): Encode {
  const encode = ofValue[name];
  if (array) return (value) => escapeField(arrayText(value, name));
  if (name === 'bytea') return (value) => `\\\\x${hexOf(value)}`;
  if (name === 'json') return (value) => escapeBackslashes(encode(value));
  return mayNeedEscapes.has(name) ? (value) => escapeField(encode(value)) : encode;
}
