import type { HealthReading } from '../catalog/health.ts';
import type { Throttle, ThrottleMeasure } from '../plan/plan.ts';

/** A measure and its limit, as the run has met it so far. Times are milliseconds since 1970. */
export interface MeasureState {
  /** Since when the run is held for it; null where it is not. */
  heldSince: number | null;
  /** The run went on when its time was up; it is not held again before the measure has come down once. */
  overruled: boolean;
}

/** What is due for one measure. `reason` is the number and the limit in words. */
export type ThrottleStep =
  | { kind: 'none' }
  | { kind: 'hold'; reason: string }
  | { kind: 'lift'; reason: string }
  /** Held for as long as the plan allows: the run goes on all the same. */
  | { kind: 'give way'; reason: string }
  /** The same where going on is no use. */
  | { kind: 'fail'; reason: string };

/** What a limit is counted in, behind the number. */
const units: Record<ThrottleMeasure, (limit: number) => string> = {
  replication_lag: (limit) => `${limit} s`,
  wal_to_archive: (limit) => `${limit}`,
  vacuum: (limit) => `${limit}`,
  source_sessions: (limit) => `${limit}`,
  target_gb: (limit) => `${limit} GB`,
  disk_full: (limit) => `${limit}`,
};

/** Without space nothing can go on. */
const cannotGoOn = (measure: ThrottleMeasure): boolean => measure === 'target_gb' || measure === 'disk_full';

/** Where a measure has to come down to: well below its limit, so that a run is not held again with the next reading. */
const liftAt = (measure: ThrottleMeasure, limit: number): number =>
  limit * (measure === 'target_gb' ? 0.99 : 0.8);

function reasonOf(measure: ThrottleMeasure, { what }: HealthReading, limit: number): string {
  return limit === 0 ? what : `${what}, over ${units[measure](limit)}`;
}

/**
 * What a reading of a measure means for a run. A run is held above the limit and goes on at four fifths of it, or when
 * it was held for as long as the plan allows.
 */
export function decideThrottle(
  measure: ThrottleMeasure,
  { limit, atMostMs }: NonNullable<Throttle[ThrottleMeasure]>,
  reading: HealthReading & { since?: number },
  state: MeasureState,
  now: number,
): { step: ThrottleStep; state: MeasureState } {
  const { heldSince, overruled } = state;
  const isDown = reading.value <= liftAt(measure, limit);
  if (overruled) return { step: { kind: 'none' }, state: { heldSince, overruled: !isDown } };
  if (isDown) {
    const step: ThrottleStep = heldSince === null ? { kind: 'none' } : { kind: 'lift', reason: reading.what };
    return { step, state: { heldSince: null, overruled } };
  }
  if (heldSince === null && reading.value <= limit) return { step: { kind: 'none' }, state };
  const since = heldSince ?? now;
  const reason = reasonOf(measure, reading, limit);
  if (now - Math.min(since, reading.since ?? since) <= atMostMs)
    return { step: { kind: 'hold', reason }, state: { heldSince: since, overruled } };
  const kind = cannotGoOn(measure) ? 'fail' : 'give way';
  return { step: { kind, reason }, state: { heldSince: null, overruled: kind === 'give way' } };
}
