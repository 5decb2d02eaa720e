import { describe, test } from 'vitest';
import { available, markMissing, missingIn, type Requirement } from './requirements.ts';

/**
 * A suite that needs something of the machine. Without it the suite is skipped and named at the end of the run;
 * under ROWFLEET_REQUIRE_ALL=1 it fails.
 */
export function describeWith(requirement: Requirement, name: string, body: () => void): void {
  if (available(requirement)) {
    describe(name, body);
    return;
  }
  const marked = markMissing(name, requirement);
  if (process.env.ROWFLEET_REQUIRE_ALL !== '1') {
    describe.skip(marked, body);
    return;
  }
  describe(marked, () => {
    test('can be run', () => {
      throw new Error(missingIn(marked));
    });
  });
}
