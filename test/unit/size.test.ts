import { describe, expect, it } from 'vitest';
import { cutBatch, remainingBlocks } from '../../src/copy/cut.ts';
import { nextBatchBlocks } from '../../src/copy/size.ts';

const aim = { seconds: 2, bytes: 1_000_000 };
const base = { tooManyBlocks: null, recent: [], startBlocks: 10, remainingBlocks: 1_000_000, slots: 2, aim };
const batch = (blocks: number, seconds: number, bytes = blocks) => ({ blocks, seconds, bytes });

describe('the size of the next batch', () => {
  it('begins where the plan says', () => {
    expect(nextBatchBlocks(base)).toBe(10);
    expect(nextBatchBlocks({ ...base, remainingBlocks: 3 })).toBe(3);
  });

  it('grows fourfold while batches are far from the aim, twofold near it', () => {
    expect(nextBatchBlocks({ ...base, recent: [batch(10, 0.01)] })).toBe(40);
    expect(nextBatchBlocks({ ...base, recent: [batch(10, 0.6)] })).toBe(20);
  });

  it('settles at the aim and shrinks when batches take longer', () => {
    expect(nextBatchBlocks({ ...base, recent: [batch(100, 2)] })).toBe(100);
    expect(nextBatchBlocks({ ...base, recent: [batch(100, 20)] })).toBe(10);
  });

  it('halves at once what was too much', () => {
    expect(nextBatchBlocks({ ...base, recent: [batch(100, 2)], tooManyBlocks: 60 })).toBe(30);
    expect(nextBatchBlocks({ ...base, recent: [batch(100, 20)], tooManyBlocks: 60 })).toBe(10);
    expect(nextBatchBlocks({ ...base, tooManyBlocks: 1 })).toBe(1);
  });

  it('never carries more bytes than the aim', () => {
    expect(nextBatchBlocks({ ...base, recent: [batch(100, 0.1, 2_000_000)] })).toBe(50);
  });

  it('keeps every slot busy at the tail, but not with crumbs', () => {
    expect(nextBatchBlocks({ ...base, remainingBlocks: 200, recent: [batch(100, 2)] })).toBe(50);
    expect(nextBatchBlocks({ ...base, remainingBlocks: 4, recent: [batch(100, 2)] })).toBe(25);
  });
});

describe('cutting', () => {
  it('covers every block of every leaf once, each leaf to its open end', () => {
    let cut = { blocks: [25, 0, 10], rowsPerBlock: 1, leaf: 0, nextBlock: 0 };
    const ranges: string[] = [];
    for (let done = false; !done; ) {
      const next = cutBatch(cut, 10);
      ranges.push(`${next.spec.leaf}:${next.spec.fromBlock}-${next.spec.toBlock ?? ''}`);
      ({ cut, done } = next);
    }
    expect(ranges).toEqual(['0:0-10', '0:10-20', '0:20-', '1:0-', '2:0-']);
    expect(remainingBlocks(cut)).toBe(0);
  });
});
