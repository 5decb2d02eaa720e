import type { PathSegment } from '../path.ts';

/** A key whose promise rowfleet does not keep yet: refused by name, never ignored. */
export interface NotBuilt {
  path: PathSegment[];
  message: string;
  hint: string;
}

type Rule = (value: unknown) => Pick<NotBuilt, 'message' | 'hint'> | undefined;

const migration: Record<string, Rule> = {
  validation_level: (value) =>
    value === 'rigorous' || value === 'forensic'
      ? { message: `validation_level: ${value} is not built yet`, hint: 'Use basic or standard.' }
      : undefined,
  enable_rollback: (value) =>
    value === true
      ? {
          message: 'enable_rollback: true is not built yet: a finished run cannot be rolled back',
          hint: 'Set enable_rollback: false. `rowfleet cancel` restores what was taken down in a run that goes on.',
        }
      : undefined,
};

const plan: Record<string, Rule> = {
  consistency: (value) =>
    value === 'window'
      ? undefined
      : {
          message: `consistency: ${String(value)} is not built yet`,
          hint: 'Leave it out: the source must not be written to while the run goes on (window).',
        },
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

// Takes the keys out, so that the definition does not report them a second time.
function takeOut(holder: unknown, rules: Record<string, Rule>, path: PathSegment[]): NotBuilt[] {
  if (!isObject(holder)) return [];
  return Object.entries(rules).flatMap(([key, rule]) => {
    if (!(key in holder)) return [];
    const refusal = rule(holder[key]);
    if (!refusal) return [];
    delete holder[key];
    return [{ path: [...path, key], ...refusal }];
  });
}

/** Finds every key that promises what is not built and removes it from the document. */
export function takeOutNotBuilt(document: unknown): NotBuilt[] {
  if (!isObject(document)) return [];
  return [...takeOut(document, plan, []), ...takeOut(document.migration, migration, ['migration'])];
}
