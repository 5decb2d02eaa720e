import { describe, expect, test } from 'vitest';
import { compareKey, type DigestRow, mergeDigests } from '../../src/validate/merge-digests.ts';

async function* rows(...list: [key: number, row: number, count?: number][]): AsyncGenerator<DigestRow> {
  for (const [key, row, count = 1] of list) yield { key: BigInt(key), row: BigInt(row), count };
}

async function merged(expected: AsyncIterable<DigestRow>, found: AsyncIterable<DigestRow>) {
  const differences = [];
  for await (const difference of mergeDigests(expected, found)) differences.push(difference);
  return differences;
}

const none = { missing: 0, surplus: 0, different: 0, duplicate: 0 };

describe('two streams of row hashes', () => {
  test('that are equal yield nothing', async () => {
    expect(await merged(rows([1, 1], [2, 2, 3]), rows([1, 1], [2, 2, 3]))).toEqual([]);
    expect(await merged(rows(), rows())).toEqual([]);
  });

  test('yield missing, different and surplus keys in order, negative ones first', async () => {
    expect(
      await merged(rows([-5, 1], [1, 1], [2, 2], [4, 4]), rows([-6, 1], [1, 9], [2, 2], [5, 5])),
    ).toEqual([
      { key: -6n, ...none, surplus: 1 },
      { key: -5n, ...none, missing: 1 },
      { key: 1n, ...none, different: 1 },
      { key: 4n, ...none, missing: 1 },
      { key: 5n, ...none, surplus: 1 },
    ]);
  });

  test('one of which is empty yield every row of the other', async () => {
    expect(await merged(rows([1, 1, 2], [2, 2]), rows())).toEqual([
      { key: 1n, ...none, missing: 2 },
      { key: 2n, ...none, missing: 1 },
    ]);
  });

  test('are compared with all rows of a key', async () => {
    expect(await merged(rows([1, 1], [1, 2]), rows([1, 2], [1, 3], [1, 4]))).toEqual([
      { key: 1n, ...none, different: 1, duplicate: 1 },
    ]);
  });
});

describe('the rows of one key', () => {
  const of = (...list: [number, number][]) => new Map(list.map(([row, count]) => [BigInt(row), count]));

  test.each([
    ['a doubled row', of([1, 1]), of([1, 2]), { duplicate: 1 }],
    ['a row of two that is gone', of([1, 2]), of([1, 1]), { missing: 1 }],
    ['a changed row', of([1, 1]), of([2, 1]), { different: 1 }],
    ['a row doubled and changed', of([1, 1]), of([1, 1], [2, 1]), { duplicate: 1 }],
    ['rows of a key that is not expected', of(), of([1, 1], [2, 1]), { surplus: 2 }],
  ])('show %s', (_, expected, found, difference) => {
    expect(compareKey(7n, expected, found)).toEqual({ key: 7n, ...none, ...difference });
  });
});
