import type { TransformOutput, ValueName, ValueType } from '../types.ts';
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
} from './expected.ts';
import { addJson } from './json-bytes.ts';
import { addNumeric } from './numeric.ts';
import type { Room } from './room.ts';
import { daysAt, type Moment, momentOf, momentOfDate } from './times.ts';

/** Thrown where a value has to go as text: the server may know it, in a form of which nothing is known here. */
export class OnlyText extends Error {
  constructor() {
    super('this value has no binary form here');
  }
}

/** Adds a value that is neither null nor undefined, its length ahead. Throws Misfit and OnlyText. */
export type Put = (value: unknown, room: Room) => void;

/** Makes room for a value of so many bytes, and returns where it begins. */
function open(room: Room, bytes: number): number {
  room.need(4 + bytes);
  const { at } = room;
  room.view.setInt32(at, bytes);
  room.at = at + 4 + bytes;
  return at + 4;
}

function putInt4(integer: number, room: Room): void {
  const at = open(room, 4);
  room.view.setInt32(at, integer);
}

const int2: Put = (value, room) => {
  const integer = Number(expectInt2(value));
  const at = open(room, 2);
  room.view.setInt16(at, integer);
};

/** The upper half of the one NaN that the server makes of `NaN`; JavaScript has many, and rows are compared by their bytes. */
const nan = 0x7ff80000;

const float8: Put = (value, room) => {
  const float = expectFloat(value);
  const at = open(room, 8);
  if (!Number.isNaN(float)) room.view.setFloat64(at, float);
  else {
    room.view.setUint32(at, nan);
    room.view.setUint32(at + 4, 0);
  }
};

const bool: Put = (value, room) => {
  const isTrue = expectBool(value);
  const at = open(room, 1);
  room.bytes[at] = isTrue ? 1 : 0;
};

const int8: Put = (value, room) => {
  const integer = expectInt8(value);
  const at = open(room, 8);
  if (typeof integer === 'bigint') room.view.setBigInt64(at, integer);
  else {
    room.view.setInt32(at, Math.floor(integer / 2 ** 32));
    room.view.setUint32(at + 4, integer >>> 0);
  }
};

/** Leaves room for the length of a value that is still to be written; returns where. */
function begin(room: Room): number {
  const { at } = room;
  room.need(4);
  room.at += 4;
  return at;
}

/** Writes the length of a value that began there. */
const end = (room: Room, began: number): void => room.view.setInt32(began, room.at - began - 4);

const text: Put = (value, room) => {
  const whole = expectText(value);
  const began = begin(room);
  room.text(whole);
  end(room, began);
};

const json: Put = (value, room) => {
  const began = begin(room);
  if (!addJson(value, room)) room.text(expectJson(value));
  end(room, began);
};

/** jsonb's binary form is its text behind the number of that form. */
const jsonbVersion = 1;

const jsonb: Put = (value, room) => {
  const began = begin(room);
  room.byte(jsonbVersion);
  if (!addJson(value, room)) room.text(expectJson(value));
  end(room, began);
};

// Under this, a loop is faster than a call into native code.
const shortBytes = 64;

const bytea: Put = (value, room) => {
  const bytes = expectBytes(value);
  const at = open(room, bytes.length);
  if (bytes.length > shortBytes) room.bytes.set(bytes, at);
  else for (let i = 0; i < bytes.length; i++) room.bytes[at + i] = bytes[i]!;
};

const numeric: Put = (value, room) => {
  if (!addNumeric(expectNumeric(value), room)) throw new OnlyText();
};

const noDigit = 0xff;
/** By any code of a character. */
const hexDigits = new Uint8Array(2 ** 16).fill(noDigit);
for (let i = 0; i < 16; i++) {
  const digit = i.toString(16);
  hexDigits[digit.charCodeAt(0)] = i;
  hexDigits[digit.toUpperCase().charCodeAt(0)] = i;
}
const uuidLength = 36;
const hyphen = 0x2d;
/** Where a hyphen stands behind the byte with this number. */
const isLastOfPart = Array.from({ length: 16 }, (_, i) => [3, 5, 7, 9].includes(i));

const uuid: Put = (value, room) => {
  const given = expectText(value);
  if (given.length !== uuidLength) throw new OnlyText();
  const at = open(room, 16);
  const { bytes } = room;
  let wrong = 0;
  for (let i = 0, from = 0; i < 16; i++) {
    const high = hexDigits[given.charCodeAt(from)]!;
    const low = hexDigits[given.charCodeAt(from + 1)]!;
    wrong |= high | low;
    bytes[at + i] = (high << 4) | low;
    from += 2;
    if (isLastOfPart[i]! && given.charCodeAt(from++) !== hyphen) throw new OnlyText();
  }
  if (wrong > 15) throw new OnlyText();
};

/** Microseconds, which are more than a number holds exactly outside of the years 1715 to 2285. */
function putMoment(moment: Moment | undefined, room: Room): void {
  if (moment === undefined) throw new OnlyText();
  const { seconds, micros } = moment;
  const all = seconds * 1e6 + micros;
  int8(Number.isSafeInteger(all) ? all : BigInt(seconds) * 1_000_000n + BigInt(micros), room);
}

const timestamptz: Put = (value, room) => {
  const time = expectTime(value);
  putMoment(typeof time === 'string' ? momentOf(time, true) : momentOfDate(time), room);
};

const dateLength = 10;

const date: Put = (value, room) => {
  const given = expectText(value);
  const days = given.length === dateLength ? daysAt(given) : Number.NaN;
  if (Number.isNaN(days)) throw new OnlyText();
  putInt4(days, room);
};

/**
 * By type, for those whose binary form is known (the `…_send` and `…_recv` functions in PostgreSQL's src/backend/utils/adt). Not
 * float4: the server rounds a number's decimal digits, which may come to another float than rounding the number.
 */
const ofValue: Partial<Record<ValueName, Put>> = {
  int8,
  int4: (value, room) => putInt4(Number(expectInt4(value)), room),
  int2,
  oid: (value, room) => putInt4(Number(expectOid(value)), room), // modulo 2^32
  float8,
  numeric,
  bool,
  json,
  jsonb,
  bytea,
  timestamptz,
  timestamp: (value, room) => putMoment(momentOf(expectText(value), false), room),
  date,
  uuid,
  text,
};

/** How values of a type are written as fields of COPY FROM in binary format; undefined for types of which that is not known. */
export const putterOf = ({ name, array }: ValueType): Put | undefined => (array ? undefined : ofValue[name]);

/** Whether rows of these columns may go in binary format, as far as their types tell. */
export const haveBinaryForm = (columns: TransformOutput[]): boolean =>
  columns.every(({ value }) => putterOf(value) !== undefined);
