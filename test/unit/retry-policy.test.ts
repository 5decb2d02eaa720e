import { describe, expect, test } from 'vitest';
import type { BatchSpec } from '../../src/ledger/tasks.ts';
import { decide, type FailedAttempt, retryDelayMs } from '../../workers/retry-policy.ts';

const range = (fromBlock: number, toBlock: number | null): BatchSpec => ({ leaf: 0, fromBlock, toBlock });

function failed(
  overrides: Partial<FailedAttempt> = {},
  claim: Partial<FailedAttempt['claim']> = {},
): FailedAttempt {
  return {
    class: 'shrink',
    code: 'BATCH_TIMEOUT',
    history: { waits: 0, handedBack: 0, leafBlocks: 100 },
    maxRetries: 3,
    ...overrides,
    claim: { taskKind: 'batch', mode: 'copy', failures: 0, spec: range(40, 80), ...claim },
  };
}

test('back-off doubles from half a second to half a minute, with up to half of it as jitter', () => {
  for (const [times, most] of [
    [0, 500],
    [3, 4_000],
    [6, 30_000],
    [50, 30_000],
  ] as const) {
    const delays = Array.from({ length: 200 }, () => retryDelayMs(times));
    expect(Math.max(...delays)).toBeLessThanOrEqual(most);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(most / 2);
    expect(new Set(delays).size).toBeGreaterThan(100);
  }
});

test('waiting never counts, and grows with what was waited for already', () => {
  const decision = decide(
    failed(
      { class: 'wait', code: '57P01', history: { waits: 4, handedBack: 0, leafBlocks: 100 } },
      { failures: 99 },
    ),
  );
  expect(decision.counts).toBe(false);
  expect(decision.waitMs).toBeGreaterThanOrEqual(4_000);
});

describe('a batch that was too much', () => {
  test('is halved at once, uncounted: the size makes progress', () => {
    expect(decide(failed({}, { failures: 3 }))).toEqual({
      waitMs: 0,
      counts: false,
      halves: [range(40, 60), range(60, 80)],
      tooManyBlocks: 40,
    });
  });

  test('with an open end is halved by the blocks that were counted, and stays open', () => {
    expect(decide(failed({}, { spec: range(95, null) })).halves).toEqual([range(95, 97), range(97, null)]);
  });

  test.each([
    ['is a single block', { spec: range(7, 8) }],
    ['is a single block', { spec: range(99, null) }],
    ['reads a whole table', { spec: range(0, null) }, null],
    ['reads a whole table', { spec: range(0, null) }, 0],
    ['has no range', { spec: { keys: [] } }],
  ])('and %s is tried again, counted, and says so', (note, claim, leafBlocks: number | null = 100) => {
    const history = { waits: 0, handedBack: 0, leafBlocks };
    const again = decide(failed({ history }, claim));
    expect(again).toMatchObject({ counts: true, note: expect.stringContaining(note) });
    expect(again.waitMs).toBeGreaterThan(0);
    expect(again.halves).toBeUndefined();
    expect(decide(failed({ history }, { ...claim, failures: 3 })).waitMs).toBeNull();
  });

  test('that met a lock is halved too, but that counts: its size is not what failed', () => {
    const deadlock = { code: '40P01' };
    expect(decide(failed(deadlock, { failures: 2 }))).toMatchObject({ counts: true, tooManyBlocks: 40 });
    expect(decide(failed(deadlock, { failures: 3 }))).toEqual({ waitMs: null, counts: true });
  });
});

test('a build that met a lock is tried again, counted', () => {
  const build = { taskKind: 'build', spec: { object: '1' } } as const;
  expect(decide(failed({ code: '55P03' }, build))).toMatchObject({ counts: true });
  expect(decide(failed({ code: '55P03' }, { ...build, failures: 3 })).waitMs).toBeNull();
});

test('a refused row lets its batch be cornered at once, once; a check cannot be', () => {
  const row = { class: 'row', code: '22P02' } as const;
  expect(decide(failed(row, { failures: 3 }))).toEqual({ waitMs: 0, counts: false, mode: 'corner' });
  expect(decide(failed(row, { mode: 'corner' })).waitMs).toBeNull();
  expect(decide(failed(row, { mode: 'reload' })).waitMs).toBeNull();
  // What it refers to may come with another reload.
  expect(decide(failed({ ...row, code: '23503' }, { mode: 'reload' }))).toMatchObject({
    counts: true,
    waitMs: expect.any(Number),
  });
  expect(decide(failed(row, { taskKind: 'check' })).waitMs).toBeNull();
});

test('what would fail again is not tried again', () => {
  expect(decide(failed({ class: 'give up', code: '42501' }))).toEqual({ waitMs: null, counts: true });
});
