import type { Room } from './room.ts';

/** Characters of numbers whose digits are looked at here; longer ones are rare. */
const mostCharacters = 1000;
const zero = 0x30;
const point = 0x2e;
const plus = 0x2b;
const minus = 0x2d;
const groupDigits = 4;
const negative = 0x4000;

/** Where a number's point is, or would be; -1 for what is no plain decimal number from `from` on. */
function pointOf(text: string, from: number): number {
  let at = text.length;
  for (let i = from; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === point && at === text.length) at = i;
    else if (code < zero || code > zero + 9) return -1;
  }
  // Digits stand before the point, and behind it where there is one.
  return at === from || at === text.length - 1 ? -1 : at;
}

/** A group's number: its digits from `at` on, of which those before `from` and behind `end` are zeros. */
function groupAt(text: string, at: number, from: number, end: number): number {
  let group = 0;
  for (let i = at; i < at + groupDigits; i++)
    group = group * 10 + (i >= from && i < end ? text.charCodeAt(i) - zero : 0);
  return group;
}

/**
 * Adds a decimal number as the server sends numeric: groups of four digits to the base of 10,000 behind their number, the weight of
 * the first, the sign, and the digits of the fraction (`numeric_recv` in PostgreSQL's src/backend/utils/adt/numeric.c, which
 * drops zeros at both ends). False where the text is no such number; nothing is added then.
 */
export function addNumeric(text: string, room: Room): boolean {
  if (text.length > mostCharacters) return false;
  const first = text.charCodeAt(0);
  const from = first === minus || first === plus ? 1 : 0;
  const at = pointOf(text, from);
  if (at === -1) return false;
  const wholes = Math.ceil((at - from) / groupDigits);
  const fraction = Math.max(0, text.length - at - 1);
  const groups = wholes + Math.ceil(fraction / groupDigits);
  const bytes = 8 + 2 * groups;
  room.need(4 + bytes);
  const { view, at: start } = room;
  view.setInt32(start, bytes);
  view.setInt16(start + 4, groups);
  view.setInt16(start + 6, wholes - 1);
  view.setUint16(start + 8, first === minus ? negative : 0);
  view.setInt16(start + 10, fraction);
  for (let i = 0; i < groups; i++) {
    const group =
      i < wholes
        ? groupAt(text, at - groupDigits * (wholes - i), from, at)
        : groupAt(text, at + 1 + groupDigits * (i - wholes), at + 1, text.length);
    view.setInt16(start + 12 + 2 * i, group);
  }
  room.at += 4 + bytes;
  return true;
}
