import type { ProgressSnapshot } from '../../../src/progress/types.ts';
import { duration } from '../../units.ts';
import { printable } from './text.ts';

/** How many are named. */
const named = 2;

/** The checks that have run for longest, with how long, in one text; none where none runs. */
export function runningChecks({ attempts }: ProgressSnapshot): string[] {
  const checks = attempts.filter(({ kind }) => kind === 'check');
  if (checks.length === 0) return [];
  const texts = checks
    .slice(0, named)
    .map(({ label, relation, seconds }) => printable(`${label} on ${relation} for ${duration(seconds)}`));
  const more = checks.length > named ? ` and ${checks.length - named} more` : '';
  return [`running ${texts.join(', ')}${more}`];
}
