import type { Throttle } from '../plan.ts';
import type { Problems } from '../problems.ts';
import type { PlanDocument } from './definition.ts';
import { durationMs } from './duration.ts';

type Given = NonNullable<NonNullable<PlanDocument['migration']>['throttle']>;

const defaultAtMost = '15m';

/**
 * What holds a run back while a server is not well, with the defaults applied: a replication lag of a minute, and a full
 * disk, each for at most a quarter of an hour. A limit must be longer than nothing.
 */
export function readThrottle(given: Given = {}, problems: Problems): Throttle {
  const throttle: Throttle = {};
  const at = (atMost: string | undefined, measure: string) => {
    const ms = durationMs(atMost ?? defaultAtMost);
    if (ms < 1000) problems.error(['migration', 'throttle', measure, 'at_most'], 'must be at least 1s');
    return ms;
  };
  const lag = given.replication_lag ?? {};
  if (lag !== 'off') {
    const limit = durationMs(lag.limit ?? '60s') / 1000;
    throttle.replication_lag = { limit, atMostMs: at(lag.at_most, 'replication_lag') };
  }
  for (const measure of ['wal_to_archive', 'vacuum', 'source_sessions'] as const) {
    const one = given[measure];
    if (one !== undefined && one !== 'off')
      throttle[measure] = { limit: one.limit, atMostMs: at(one.at_most, measure) };
  }
  const { target_gb, at_most } = given.disk ?? {};
  const atMostMs = at(at_most, 'disk');
  throttle.disk_full = { limit: 0, atMostMs };
  if (target_gb !== undefined) throttle.target_gb = { limit: target_gb, atMostMs };
  return throttle;
}
