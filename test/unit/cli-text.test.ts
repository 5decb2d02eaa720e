import { describe, expect, it } from 'vitest';
import { left, printable, right, shorten, widthOf } from '../../ops/cli/render/text.ts';
import { bytes, compact, count, duration, percent } from '../../ops/units.ts';

describe('text in columns', () => {
  it('counts wide characters as two and clusters as one sign', () => {
    expect(widthOf('日本')).toBe(4);
    expect(left('日本', 6)).toBe('日本  ');
    expect(right('日本', 5)).toBe(' 日本');
  });

  it('cuts between characters, never inside a wide one or a cluster', () => {
    expect(shorten('日本語', 5)).toBe('日本…');
    expect(shorten('日本語', 4)).toBe('日…');
    expect(shorten('👨‍👩‍👧‍👦👨‍👩‍👧‍👦', 3)).toBe('👨‍👩‍👧‍👦…');
    expect(shorten('abc', 3)).toBe('abc');
  });

  it('shows control characters instead of sending them to the terminal', () => {
    expect(printable('a\u001b[31mb\r\nc\u0000\td')).toBe('a\\u001b[31mb\\u000d⏎c\\u0000⇥d');
  });
});

describe('units', () => {
  it('keeps compact numbers within six columns', () => {
    const values = [0, 999, 999.6, 1_000, 99_949, 99_950, 999_499, 999_500, 12_345_678, 9e9, 1.5e15];
    expect(values.map(compact)).toEqual([
      '0',
      '999',
      '1.0k',
      '1.0k',
      '99.9k',
      '100k',
      '999k',
      '1.0M',
      '12.3M',
      '9.0G',
      '1500T',
    ]);
  });

  it('writes bytes, counts, durations and percentages', () => {
    expect([bytes(12), bytes(12_340_000), count(1234567.4)]).toEqual(['12 B', '12.3 MB', '1,234,567']);
    expect([duration(7.4), duration(754), duration(10_921)]).toEqual(['0:07', '12:34', '3:02:01']);
    expect([percent(0.999), percent(1), percent(0.29)]).toEqual(['99%', '100%', '29%']);
  });
});
