import { describe, expect, test } from 'vitest';
import { addJson } from '../../src/transform/encode/json-bytes.ts';
import { Room } from '../../src/transform/encode/room.ts';

/** What is written for a value; undefined where it is left to JSON.stringify. */
function written(value: unknown): string | undefined {
  const room = new Room();
  const { at } = room;
  if (addJson(value, room)) return room.bytes.toString('utf8', at, room.at);
  expect(room.at).toBe(at);
  return undefined;
}

/** A sequence of numbers below `bound` that is the same each time (https://en.wikipedia.org/wiki/Lehmer_random_number_generator). */
function lehmer(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % bound;
  };
}

const texts = [
  '',
  'a',
  'two words',
  'quote "',
  'back\\slash',
  'tab\t',
  '\u0000',
  '\u007f',
  'ż',
  '😀',
  '\ud800',
  'x'.repeat(49),
  '\u2028',
  '/',
];
const numbers = [
  0,
  -0,
  7,
  -7,
  10,
  99,
  100,
  2 ** 31 - 1,
  -(2 ** 31),
  2 ** 31,
  1e21,
  0.1,
  -1e-7,
  Number.NaN,
  Number.NEGATIVE_INFINITY,
];

function made(next: (bound: number) => number, depth: number): unknown {
  const kind = next(depth > 4 ? 4 : 6);
  if (kind === 0) return texts[next(texts.length)];
  if (kind === 1) return numbers[next(numbers.length)];
  if (kind === 2) return next(2 ** 31) * (next(2) === 0 ? 1 : -1);
  if (kind === 3) return [null, true, false][next(3)];
  const inner = Array.from({ length: next(5) }, () => made(next, depth + 1));
  if (kind === 4) return inner;
  const keyOf = () => ['__proto__', 'length', '0', `k${next(2000)}`, ...texts][next(texts.length + 4)]!;
  return JSON.parse(
    `{${inner.map((value) => `${JSON.stringify(keyOf())}:${JSON.stringify(value)}`).join()}}`,
  );
}

describe('JSON in bytes', () => {
  test('is what JSON.stringify makes', () => {
    const next = lehmer(7);
    for (let i = 0; i < 20_000; i++) {
      const value = [made(next, 0)];
      expect(written(value)).toBe(JSON.stringify(value));
    }
  });

  test('leaves keys out that have no value, and goes by the order of keys', () => {
    for (const value of [{ a: undefined, b: 1, 1: 'first' }, { a: undefined }, {}, [], { a: [[]] }])
      expect(written(value)).toBe(JSON.stringify(value));
  });

  test('outgrows its room', () => {
    const value = Array.from({ length: 20_000 }, (_, i) => ({ i, text: `number ${i}` }));
    expect(written(value)).toBe(JSON.stringify(value));
  });

  const circle: unknown[] = [];
  circle.push({ circle });
  const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)]);
  test.each([
    ['a Date', [new Date(0)]],
    ['what has a form of its own', { a: { toJSON: () => 1 } }],
    ['an object of a class', [new Map()]],
    ['one without a prototype', Object.create(null)],
    ['a list of a class', new (class extends Array {})()],
    ['a boxed number', [Object(1)]],
    ['a hole', Object.assign([], { 1: 1 })],
    ['undefined in a list', [undefined]],
    ['a function', { a: () => 1 }],
    ['a symbol', [Symbol('a')]],
    ['a bigint', [1n]],
    ['a circle', circle],
    ['depth', deep(40)],
    ['a text', 'text'],
    ['null', null],
  ])('leaves %s to it', (_, value) => {
    expect(written(value)).toBeUndefined();
  });

  test('the deepest that is written', () => {
    expect(written(deep(32))).toBe(JSON.stringify(deep(32)));
    expect(written(deep(33))).toBeUndefined();
  });
});
