import { usageError } from '../../src/errors.ts';
import type { SlotRange } from '../../workers/slot-policy.ts';

const most = 64;

/** What a loader does where nobody says otherwise. */
const usual = 2;

/**
 * Slots of a loader: `4` for as many, and fewer only while the servers suffer; `1-8` for a range in which it finds the
 * best number. Throws a usage error that names `option`.
 */
export function slotRangeOf(option: string, text: string): number | SlotRange {
  const [, low, high] = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(text) ?? [];
  const [floor, ceiling] = [Number(low), Number(high ?? low)];
  if (low !== undefined && floor >= 1 && floor <= ceiling && ceiling <= most) {
    if (high === undefined) return ceiling;
    return { floor, ceiling, start: Math.min(ceiling, Math.max(floor, usual)) };
  }
  throw usageError(
    'OPTION_INVALID',
    `${option} must be a number from 1 to ${most}, or a range such as 1-8, not "${text}"`,
  );
}
