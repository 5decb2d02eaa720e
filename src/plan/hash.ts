import { createHash } from 'node:crypto';
import type { ResolvedPlan } from './resolved-plan.ts';

/** JSON with sorted keys and without undefined, so that equal values give equal text. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(',')}}`;
}

/** SHA-256 (hex) of a resolved plan; the same after a round trip through JSON or jsonb. */
export function planHash(resolved: ResolvedPlan): string {
  return createHash('sha256').update(canonical(resolved)).digest('hex');
}
