import type { RunSettings } from '../ledger/settings.ts';
import type { Settings } from '../plan/plan.ts';

/** Where a value comes from: a person set it for this run, the plan says so, or neither. */
export type Origin = 'set' | 'plan' | 'default';

export interface EffectiveSetting<T> {
  value: T;
  origin: Origin;
}

/** What batches go by. */
export interface EffectiveSettings {
  /** Batches that may be under way at once over the whole fleet; null for as many as it has slots. */
  concurrency: EffectiveSetting<number | null>;
  /** Seconds that a batch should take. */
  batchSeconds: EffectiveSetting<number>;
  /** Megabytes that a batch may carry. */
  maxBatchMb: EffectiveSetting<number>;
}

/** A killed batch of two seconds loses little, progress moves, and its fixed cost of some 20 ms stays near one per cent. */
const defaultBatchSeconds = 2;
const defaultMaxBatchMb = 256;

function choose<T>(set: T | undefined, plan: T | undefined, fallback: T): EffectiveSetting<T> {
  if (set !== undefined) return { value: set, origin: 'set' };
  return plan === undefined ? { value: fallback, origin: 'default' } : { value: plan, origin: 'plan' };
}

/** The settings that hold for a run. Without any, batches aim at two seconds, or at a sixth of their timeout. */
export function effectiveSettings(plan: Settings, set: RunSettings): EffectiveSettings {
  const seconds = Math.min(defaultBatchSeconds, plan.batchTimeoutMs / 6000);
  return {
    concurrency: choose<number | null>(set.concurrency, undefined, null),
    batchSeconds: choose(set.batchSeconds, plan.batchSeconds, seconds),
    maxBatchMb: choose(set.maxBatchMb, plan.maxBatchMb, defaultMaxBatchMb),
  };
}
