import { expect, test } from 'vitest';
import { bucketsFor } from '../../src/validate/digest.ts';
import { excerpt, excerpts } from '../../src/validate/excerpt.ts';

test('short values are shown as they are, NULL as null', () => {
  expect(excerpts('', null)).toEqual({ expected: '', found: null });
  expect(excerpts('abc', 'abd')).toEqual({ expected: 'abc', found: 'abd' });
});

test('long values are cut around the first difference', () => {
  const head = 'x'.repeat(1000);
  const { expected, found } = excerpts(`${head}a`, `${head}b${'y'.repeat(300)}`);
  expect(expected).toBe(`…${'x'.repeat(40)}a`);
  expect(found).toBe(`…${'x'.repeat(40)}b${'y'.repeat(159)}…`);
});

test('a value that ends where the other goes on shows its end', () => {
  const { expected, found } = excerpts('x'.repeat(300), 'x'.repeat(500));
  expect(expected).toBe(`…${'x'.repeat(40)}`);
  expect(found).toBe(`…${'x'.repeat(200)}…`);
});

test('characters beyond 16 bits are not cut in half', () => {
  const text = '😀'.repeat(300);
  expect(excerpt(text)).toBe(`${'😀'.repeat(200)}…`);
});

test('buckets are a power of two, of about a thousand rows', () => {
  expect([0, 1, 1000, 1001, 500_000, 1e12].map(bucketsFor)).toEqual([1, 1, 1, 2, 512, 65_536]);
});
