import type { Room } from './room.ts';

/**
 * Plain JSON, written straight into bytes: small objects take a fraction of the time of `JSON.stringify` and a copy of its text.
 * What is not plain is left to that.
 */

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const zero = 0x30;
const minus = 0x2d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const firstPrintable = 0x20;
const lastAscii = 0x7f;

/** Deeper, or in a circle, is not plain. */
const mostDepth = 32;
/** Longer texts are copied faster than looked through. */
const shortText = 48;
/** Keys that are data themselves would fill memory. */
const mostKeys = 1000;

const nullBytes = Buffer.from('null');
const trueBytes = Buffer.from('true');
const falseBytes = Buffer.from('false');

/** `"key":` by key. */
const keys = new Map<string, Uint8Array>();

function bytesOfKey(key: string): Uint8Array {
  let bytes = keys.get(key);
  if (bytes === undefined) {
    bytes = Buffer.from(`${JSON.stringify(key)}:`);
    if (keys.size < mostKeys) keys.set(key, bytes);
  }
  return bytes;
}

function addBytes(bytes: Uint8Array, room: Room): void {
  room.need(bytes.length);
  const { bytes: into, at } = room;
  for (let i = 0; i < bytes.length; i++) into[at + i] = bytes[i]!;
  room.at += bytes.length;
}

/** A whole number of 32 bits. */
function addInteger(integer: number, room: Room): void {
  room.need(11);
  const { bytes } = room;
  let left = integer < 0 ? -integer : integer;
  let digits = 1;
  for (let bound = 10; left >= bound && digits < 10; bound *= 10) digits++;
  if (integer < 0) bytes[room.at++] = minus;
  const end = room.at + digits;
  for (let at = end - 1; at >= room.at; at--) {
    const rest = (left / 10) | 0;
    bytes[at] = zero + left - rest * 10;
    left = rest;
  }
  room.at = end;
}

function addNumber(number: number, room: Room): void {
  if ((number | 0) === number) addInteger(number, room);
  else if (Number.isFinite(number)) room.text(`${number}`);
  else addBytes(nullBytes, room);
}

/** A text with its quotes; as it is where nothing in it is escaped. */
function addText(text: string, room: Room): void {
  if (text.length > shortText) {
    room.text(JSON.stringify(text));
    return;
  }
  room.need(text.length + 2);
  const { bytes, at: start } = room;
  let at = start;
  bytes[at++] = quote;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < firstPrintable || code >= lastAscii || code === quote || code === backslash) {
      room.text(JSON.stringify(text));
      return;
    }
    bytes[at++] = code;
  }
  bytes[at++] = quote;
  room.at = at;
}

function addList(list: unknown[], room: Room, depth: number): boolean {
  room.byte(openBracket);
  for (let i = 0; i < list.length; i++) {
    if (i > 0) room.byte(comma);
    if (!addValue(list[i], room, depth)) return false;
  }
  room.byte(closeBracket);
  return true;
}

function addObject(object: Record<string, unknown>, room: Room, depth: number): boolean {
  room.byte(openBrace);
  let isFirst = true;
  for (const key of Object.keys(object)) {
    const value = object[key];
    if (value === undefined) continue;
    if (!isFirst) room.byte(comma);
    isFirst = false;
    addBytes(bytesOfKey(key), room);
    if (!addValue(value, room, depth)) return false;
  }
  room.byte(closeBrace);
  return true;
}

function addValue(value: unknown, room: Room, depth: number): boolean {
  if (typeof value === 'string') addText(value, room);
  else if (typeof value === 'number') addNumber(value, room);
  else if (typeof value === 'boolean') addBytes(value ? trueBytes : falseBytes, room);
  else if (value === null) addBytes(nullBytes, room);
  else if (typeof value !== 'object' || depth === mostDepth || 'toJSON' in value) return false;
  else {
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Array.prototype) return addList(value as unknown[], room, depth + 1);
    if (prototype !== Object.prototype) return false;
    return addObject(value as Record<string, unknown>, room, depth + 1);
  }
  return true;
}

/**
 * Adds an object or array as JSON, byte for byte what `JSON.stringify` makes of it. False where it is not plain (another class,
 * a hole, a function, a bigint, depth); nothing is added then.
 */
export function addJson(value: unknown, room: Room): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { at } = room;
  if (addValue(value, room, 0)) return true;
  room.at = at;
  return false;
}
