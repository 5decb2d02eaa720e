/** Seconds of times and days of dates as PostgreSQL counts them in binary: from 2000-01-01, in the Gregorian calendar throughout. */

const zero = 0x30;
const hyphen = 0x2d;
const colon = 0x3a;
const secondsPerDay = 86_400;
/** Days from 0000-03-01 to 2000-01-01. */
const epochDay = 730_425;
const microDigits = 6;

const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** A moment: whole seconds since 2000-01-01 00:00 and microseconds behind them. */
export interface Moment {
  seconds: number;
  micros: number;
}

/** Two digits; NaN for anything else. */
function two(text: string, at: number): number {
  const tens = text.charCodeAt(at) - zero;
  const ones = text.charCodeAt(at + 1) - zero;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}

/** Days from 2000-01-01 (http://howardhinnant.github.io/date_algorithms.html, days_from_civil). */
function dayOf(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - epochDay;
}

const isLeap = (year: number) => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;

/** Days from 2000-01-01 of `2024-02-29` at the beginning of a text; NaN where that is no date of the years 1 to 9999. */
export function daysAt(text: string): number {
  const year = two(text, 0) * 100 + two(text, 2);
  const month = two(text, 5);
  const day = two(text, 8);
  if (text.charCodeAt(4) !== hyphen || text.charCodeAt(7) !== hyphen) return Number.NaN;
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1)) return Number.NaN;
  return day <= monthDays[month - 1]! || (month === 2 && day === 29 && isLeap(year))
    ? dayOf(year, month, day)
    : Number.NaN;
}

/** Seconds of `HH:MM:SS` at `at`; NaN for others, 24:00 and 60 seconds among them. */
function secondsAt(text: string, at: number): number {
  const hour = two(text, at);
  const minute = two(text, at + 3);
  const second = two(text, at + 6);
  const isTime = text.charCodeAt(at + 2) === colon && text.charCodeAt(at + 5) === colon;
  return isTime && hour < 24 && minute < 60 && second < 60 ? hour * 3600 + minute * 60 + second : Number.NaN;
}

/** Seconds east of UTC of `Z`, `+HH` or `+HH:MM` from `at` to the end; NaN for others. */
function zoneAt(text: string, at: number): number {
  const length = text.length - at;
  if (length === 1) return text[at] === 'Z' ? 0 : Number.NaN;
  const sign = text[at] === '+' ? 1 : text[at] === '-' ? -1 : Number.NaN;
  const minutes =
    length === 3 ? 0 : length === 6 && text.charCodeAt(at + 3) === colon ? two(text, at + 4) : 60;
  const hours = two(text, at + 1);
  return hours < 15 && minutes < 60 ? sign * (hours * 3600 + minutes * 60) : Number.NaN;
}

/**
 * The moment of a text as PostgreSQL and ISO 8601 write it, `2024-02-29 12:34:56.123456+01`; of one without a zone where
 * `zoned` is false. Undefined for all others, of which the server knows many.
 */
export function momentOf(text: string, zoned: boolean): Moment | undefined {
  const between = text[10];
  if (between !== ' ' && between !== 'T') return undefined;
  let at = 19;
  let micros = 0;
  if (text[at] === '.') {
    let digits = 0;
    for (at++; digits < microDigits; digits++, at++) {
      const digit = text.charCodeAt(at) - zero;
      if (!(digit >= 0 && digit <= 9)) break;
      micros = micros * 10 + digit;
    }
    if (digits === 0) return undefined;
    micros *= 10 ** (microDigits - digits);
  }
  if (!zoned && at < text.length) return undefined;
  const seconds = daysAt(text) * secondsPerDay + secondsAt(text, 11) - (zoned ? zoneAt(text, at) : 0);
  return Number.isNaN(seconds) ? undefined : { seconds, micros };
}

/** 2000-01-01 as Date counts: milliseconds since 1970. */
const epochMs = Date.UTC(2000, 0, 1);

/** The moment of a valid Date. */
export function momentOfDate(date: Date): Moment {
  const ms = date.getTime() - epochMs;
  const seconds = Math.floor(ms / 1000);
  return { seconds, micros: (ms - seconds * 1000) * 1000 };
}
