import type { ValueName, ValueType } from '../types.ts';

/**
 * Turns a value's text, as COPY writes it and not NULL, into what the function is given: that from `from` to before `end`. Text
 * is cut out only where a string is needed.
 */
export type Decode = (text: string, from: number, end: number) => unknown;

/** What COPY TO writes for bytes that would end a field or a line. */
const escapes: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** The text that COPY wrote as `field`. */
export function unescapeField(field: string): string {
  let at = field.indexOf('\\');
  if (at === -1) return field;
  let text = '';
  let from = 0;
  while (at !== -1) {
    const next = field[at + 1]!;
    text += field.slice(from, at) + (escapes[next] ?? next);
    from = at + 2;
    at = field.indexOf('\\', from);
  }
  return text + field.slice(from);
}

const hexDigits = new Uint8Array(128);
for (let i = 0; i < 16; i++) hexDigits[i.toString(16).charCodeAt(0)] = i;

// Under this, a loop is faster than the way through Node's decoder.
const shortBytes = 128;

/** The bytes of hex digits. Never a Buffer, which differs from what a copy of it would be. */
function bytesOf(text: string, from: number, end: number): Uint8Array {
  const length = (end - from) / 2;
  if (length > shortBytes) {
    const { buffer, byteOffset } = Buffer.from(text.slice(from, end), 'hex');
    return new Uint8Array(buffer, byteOffset, length);
  }
  const bytes = new Uint8Array(length);
  for (let i = 0, at = from; i < length; i++, at += 2)
    bytes[i] = (hexDigits[text.charCodeAt(at)]! << 4) | hexDigits[text.charCodeAt(at + 1)]!;
  return bytes;
}

/** Characters of a whole number, its sign among them, that a number holds exactly. */
const exactDigits = 15;
const minus = 0x2d;
const zero = 0x30;

/** A whole number of no more characters. */
function wholeNumber(text: string, from: number, end: number): number {
  const isNegative = text.charCodeAt(from) === minus;
  let number = 0;
  for (let at = isNegative ? from + 1 : from; at < end; at++)
    number = number * 10 + text.charCodeAt(at) - zero;
  return isNegative ? -number : number;
}

const asIs: Decode = (text, from, end) => text.slice(from, end);
const number: Decode = (text, from, end) => Number(text.slice(from, end));
// Up to twice as quick as BigInt of the text.
const bigint: Decode = (text, from, end) =>
  BigInt(end - from > exactDigits ? text.slice(from, end) : wholeNumber(text, from, end));

const json: Decode = (text, from, end) => JSON.parse(text.slice(from, end));

/** By type, from the value's own text (`\x6162` for bytea). */
const ofText: Record<ValueName, Decode> = {
  int8: bigint,
  int4: wholeNumber,
  int2: wholeNumber,
  oid: wholeNumber,
  float8: number,
  float4: number,
  numeric: asIs,
  bool: (text, from) => text.startsWith('t', from),
  json,
  jsonb: json,
  bytea: (text, from, end) => bytesOf(text, from + 2, end),
  timestamptz: asIs,
  timestamp: asIs,
  date: asIs,
  uuid: asIs,
  plain: asIs,
  text: asIs,
  other: asIs,
};

const whole = (decode: Decode, text: string): unknown => decode(text, 0, text.length);

/**
 * Elements of an array's text that begins with `{` at `at.from`, which is moved behind its `}`. A dimension's bounds are not
 * kept.
 */
function elementsOf(text: string, at: { from: number }, decode: Decode): unknown[] {
  const elements: unknown[] = [];
  at.from++;
  while (text[at.from] !== '}') {
    if (text[at.from] === '{') elements.push(elementsOf(text, at, decode));
    else if (text[at.from] === '"') elements.push(whole(decode, quotedAt(text, at)));
    else {
      const end = endOfElement(text, at.from);
      const element = text.slice(at.from, end);
      elements.push(element === 'NULL' ? null : whole(decode, element));
      at.from = end;
    }
    if (text[at.from] === ',') at.from++;
  }
  at.from++;
  return elements;
}

function endOfElement(text: string, from: number): number {
  let end = from;
  while (text[end] !== ',' && text[end] !== '}') end++;
  return end;
}

/** A quoted element, which `at` is moved behind. */
function quotedAt(text: string, at: { from: number }): string {
  let element = '';
  let from = at.from + 1;
  let end = from;
  for (; text[end] !== '"'; end++) {
    if (text[end] !== '\\') continue;
    element += text.slice(from, end);
    from = ++end;
  }
  at.from = end + 1;
  return element + text.slice(from, end);
}

function arrayOf(text: string, decode: Decode): unknown[] {
  const from = text.indexOf('{'); // behind bounds that do not begin at 1: `[0:1]={…}`
  if (/["{N]/.test(text.slice(from + 1))) return elementsOf(text, { from }, decode);
  // Nothing quoted, nested or NULL: most arrays of numbers.
  const inner = text.slice(from + 1, -1);
  return inner === '' ? [] : inner.split(',').map((element) => whole(decode, element));
}

const mayHoldEscapes = new Set<ValueName>(['json', 'jsonb', 'text', 'other']);

/** How fields of a type are read. */
export function decoderOf({ name, array }: ValueType): Decode {
  const decode = ofText[name];
  if (array) return (text, from, end) => arrayOf(unescapeField(text.slice(from, end)), decode);
  if (name === 'bytea') return (text, from, end) => bytesOf(text, from + 3, end); // its backslash is written as two
  return mayHoldEscapes.has(name)
    ? (text, from, end) => whole(decode, unescapeField(text.slice(from, end)))
    : decode;
}
