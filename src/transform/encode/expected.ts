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

/** What is expected of a value, whatever it is written as. All throw Misfit. */
type Expect<T> = (value: unknown) => T;

function integer(min: bigint, max: bigint): Expect<number | bigint> {
  const expected = `a whole number (number or bigint) from ${min} to ${max}`;
  const [low, high] = [Number(min), Number(max)];
  const isSafe = (value: number) =>
    low >= -(2 ** 52) ? value >= low && value <= high : Number.isSafeInteger(value);
  return (value) => {
    if (typeof value === 'bigint') {
      if (value < min || value > max) throw new Misfit(expected, 'a bigint out of that range');
      return value;
    }
    if (typeof value !== 'number' || !Number.isInteger(value)) throw new Misfit(expected, typeInWords(value));
    if (!isSafe(value))
      throw new Misfit(expected, 'a number out of that range, or beyond 2^53 where it is not exact');
    return value;
  };
}

export const expectInt8 = integer(-(2n ** 63n), 2n ** 63n - 1n);
export const expectInt4 = integer(-(2n ** 31n), 2n ** 31n - 1n);
export const expectInt2 = integer(-(2n ** 15n), 2n ** 15n - 1n);
export const expectOid = integer(0n, 2n ** 32n - 1n);

export const expectFloat: Expect<number> = (value) => {
  if (typeof value !== 'number') throw new Misfit('a number', typeInWords(value));
  return value;
};

export const expectBool: Expect<boolean> = (value) => {
  if (typeof value !== 'boolean') throw new Misfit('a boolean', typeInWords(value));
  return value;
};

export const expectBytes: Expect<Uint8Array> = (value) => {
  if (!(value instanceof Uint8Array)) throw new Misfit('a Uint8Array', typeInWords(value));
  return value;
};

type WellFormable = string & { isWellFormed(): boolean };

function wellFormed(value: string, expected: string): string {
  // Half a pair would become U+FFFD without a word.
  if (!(value as WellFormable).isWellFormed())
    throw new Misfit(`${expected} of whole characters`, 'half of a surrogate pair');
  return value;
}

export const expectText: Expect<string> = (value) => {
  if (typeof value !== 'string') throw new Misfit('a string', typeInWords(value));
  return wellFormed(value, 'a string');
};

export const expectNumeric: Expect<string> = (value) => {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'string') throw new Misfit('a string (or bigint)', typeInWords(value));
  return wellFormed(value, 'a string');
};

/** A Date of a year that both sides write with four digits, or a string as it is. */
export const expectTime: Expect<string | Date> = (value) => {
  if (!(value instanceof Date)) return expectText(value);
  const year = value.getUTCFullYear();
  if (Number.isNaN(year)) throw new Misfit('a string or a Date', 'an invalid Date');
  if (year < 1 || year > 9999)
    throw new Misfit('a string or a Date of the years 1 to 9999', 'a Date of another year');
  return value;
};

const jsonWords = 'a value of JSON (object, array, string, number or boolean)';

/** The value as JSON; `JSON.stringify` escapes half a pair. */
export const expectJson: Expect<string> = (value) => {
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
