import { describe, expect, it } from 'vitest';
import { slotRangeOf } from '../../ops/cli/slot-range.ts';
import {
  afterTrouble,
  initialSlots,
  nextSlots,
  type SlotReading,
  type SlotState,
} from '../../workers/slot-policy.ts';
import { Slots } from '../../workers/slots.ts';

const range = { floor: 1, ceiling: 6, start: 2 };
const well: SlotReading = { busy: true, bytesPerSecond: 100, latencyMs: 3, usualLatencyMs: 2 };

/** The numbers of slots that a process comes by which moves `rate(slots)` bytes a second. */
function climb(rate: (slots: number) => number, readings: number, from: SlotState = initialSlots(range)) {
  const seen: number[] = [];
  let state = from;
  for (let i = 0; i < readings; i++) {
    state = nextSlots(state, { ...well, bytesPerSecond: rate(state.slots) }, range).state;
    seen.push(state.slots);
  }
  return { seen, state };
}

describe('the slots of a loader', () => {
  it('grow to the ceiling while each moves more', () => {
    const { seen } = climb((slots) => slots * 100, 20);
    expect(seen.at(-1)).toBe(6);
    expect(new Set(seen)).toEqual(new Set([3, 4, 5, 6]));
  });

  it('stay where one more moves nothing more, and try again ever less often', () => {
    const { seen } = climb((slots) => Math.min(slots, 3) * 100, 60);
    expect(Math.max(...seen)).toBe(4);
    const trials = seen.flatMap((slots, i) => (slots === 4 && seen[i - 1] === 3 ? [i] : []));
    const gaps = trials.slice(1).map((at, i) => at - trials[i]!);
    expect(gaps.length).toBeGreaterThan(2);
    expect(gaps).toEqual(gaps.toSorted((a, b) => a - b));
    expect(gaps.at(-1)).toBeGreaterThan(2 * gaps[0]!);
    // Most of the time it has what is best.
    expect(seen.filter((slots) => slots === 3).length).toBeGreaterThan(40);
  });

  it('are halved at once by trouble, rest, and come back', () => {
    const state = { ...initialSlots(range), slots: 6 };
    const { state: halved, reason } = afterTrouble(state, range, '53300');
    expect([halved.slots, reason]).toEqual([3, 'an attempt failed of 53300']);
    expect(afterTrouble({ ...state, slots: 1 }, range, '53300')).toMatchObject({
      state: { slots: 1 },
      reason: null,
    });
    const { seen } = climb((slots) => slots * 100, 30, halved);
    expect(seen.slice(0, 6)).toEqual([3, 3, 3, 3, 3, 3]);
    expect(seen.at(-1)).toBe(6);
  });

  it('go down by one while the target takes long to answer', () => {
    const state = { ...initialSlots(range), slots: 4 };
    expect(nextSlots(state, { ...well, latencyMs: 1500 }, range)).toMatchObject({
      state: { slots: 3 },
      reason: 'the target takes 1500 ms to answer',
    });
    // It always takes as long: that is the way to it, not the work.
    expect(nextSlots(state, { ...well, latencyMs: 1500, usualLatencyMs: 1200 }, range).state.slots).toBe(5);
  });

  it('stay as they are while there is not enough to do', () => {
    const { state } = nextSlots(initialSlots(range), { ...well, busy: false }, range);
    expect(state).toEqual(initialSlots(range));
  });

  it('never exceed what a plain number says', () => {
    const plain = { floor: 1, ceiling: 2, start: 2 };
    expect(nextSlots(initialSlots(plain), well, plain)).toEqual({ state: initialSlots(plain), reason: null });
  });
});

it('a busy process tries one more slot with its next reading, and an idle one does not', () => {
  const attempts = new Set([1, 2]);
  const changes: number[] = [];
  const slots = new Slots({ attempts, latencyMs: 2 }, range, (n) => changes.push(n));
  const now = Date.now();
  for (let i = 0; i < 10; i++) slots.look();
  slots.moved(1000);
  slots.read(now + 5_000);
  expect(changes).toEqual([3]);
  slots.hear('23505', now);
  slots.hear('53300', now);
  slots.hear('53300', now + 1_000);
  expect(changes).toEqual([3, 1]);
  attempts.clear();
  for (let i = 1; i < 20; i++) {
    slots.look();
    slots.read(now + 5_000 * i);
  }
  expect(changes).toEqual([3, 1]);
});

it('one late answer of the target is no sign, late answers are', () => {
  const site = { attempts: new Set<number>(), latencyMs: 2 };
  const changes: number[] = [];
  const slots = new Slots(site, { ...range, start: 4 }, (n) => changes.push(n));
  const look = (...latencies: number[]) => {
    for (const latencyMs of latencies) {
      site.latencyMs = latencyMs;
      slots.look();
    }
    slots.read();
  };
  look(2, 2, 5000, 2);
  expect(changes).toEqual([]);
  look(2, 5000, 5000, 5000);
  expect(changes).toEqual([3]);
});

describe('--concurrency', () => {
  it('is a number or a range', () => {
    expect(slotRangeOf('--concurrency', '4')).toBe(4);
    expect(slotRangeOf('--concurrency', '1-8')).toEqual({ floor: 1, ceiling: 8, start: 2 });
    expect(slotRangeOf('--concurrency', '3-3')).toEqual({ floor: 3, ceiling: 3, start: 3 });
  });

  it.each(['0', '65', '8-1', '1-', 'many', ''])('is not %s', (text) => {
    expect(() => slotRangeOf('LOADER_CONCURRENCY', text)).toThrow(
      /^LOADER_CONCURRENCY must be a number from 1 to 64/,
    );
  });
});
