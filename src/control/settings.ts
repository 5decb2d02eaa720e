import { usageError } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Run } from '../ledger/runs.ts';
import { type RunSettings, writeRunSettings } from '../ledger/settings.ts';
import { nearest } from '../nearest.ts';
import { type EffectiveSettings, effectiveSettings } from '../run/effective-settings.ts';
import { actOn } from './act.ts';

/** What a person wants to be set; null takes a value of their own back. */
export type SettingChanges = { [K in keyof RunSettings]?: number | null };

interface Setting {
  key: keyof RunSettings;
  min: number;
  max: number;
  whole: boolean;
}

const settings: Record<string, Setting> = {
  concurrency: { key: 'concurrency', min: 1, max: 1000, whole: true },
  batch_seconds: { key: 'batchSeconds', min: 0.1, max: 3600, whole: false },
  max_mb: { key: 'maxBatchMb', min: 1, max: 100_000, whole: true },
};

function readValue(name: string, { min, max, whole }: Setting, text: string): number | null {
  if (text === 'default') return null;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
  throw usageError(
    'SETTING_INVALID',
    `${name} must be a ${whole ? 'whole number' : 'number'} from ${min} to ${max}, not "${text}"`,
    `${name}=default takes what was set back`,
  );
}

/** Reads assignments such as `concurrency=4`. Throws SETTING_UNKNOWN and SETTING_INVALID. */
export function parseSettings(assignments: string[]): SettingChanges {
  const changes: SettingChanges = {};
  for (const assignment of assignments) {
    const [, name = assignment, text] = /^([^=]*)=(.*)$/.exec(assignment) ?? [];
    const setting = settings[name];
    if (setting === undefined) {
      const near = nearest(name, Object.keys(settings));
      const hint =
        near === undefined ? `there are ${Object.keys(settings).join(', ')}` : `did you mean ${near}?`;
      throw usageError('SETTING_UNKNOWN', `there is no setting "${name}"`, hint);
    }
    if (text === undefined)
      throw usageError('SETTING_INVALID', `"${assignment}" is no assignment`, `write ${name}=<value>`);
    changes[setting.key] = readValue(name, setting, text);
  }
  return changes;
}

function refuseSlow(run: Run, batchSeconds: number | null | undefined): void {
  const timeout = run.plan.settings.batchTimeoutMs / 1000;
  if (batchSeconds === undefined || batchSeconds === null || batchSeconds * 2 <= timeout) return;
  throw usageError(
    'SETTING_INVALID',
    `batch_seconds=${batchSeconds} is more than half of the timeout_per_batch of run ${run.id}, which is ${timeout} s`,
    'batches that take a little longer than they should would be given up: choose less',
  );
}

const unfinished = ['running', 'stopped', 'failed', 'findings', 'quarantined'] as const;

/**
 * Changes settings of a run: batches that are cut and claimed from now on go by them. Returns what holds then. Throws
 * RUN_STATE where the run has ended, and SETTING_INVALID.
 */
export async function changeSettings(
  ledger: Ledger,
  run: Run,
  changes: SettingChanges,
  actor: string,
): Promise<EffectiveSettings> {
  return actOn(ledger, run.id, { actor, allowed: unfinished, deed: 'changed' }, async (tx, current) => {
    refuseSlow(current, changes.batchSeconds);
    const next = Object.fromEntries(
      Object.entries({ ...current.settings, ...changes }).filter(([, value]) => value !== null),
    );
    await writeRunSettings(tx, run.id, next);
    const words = Object.entries(settings)
      .filter(([, { key }]) => changes[key] !== undefined)
      .map(([name, { key }]) => `${name}=${changes[key] ?? 'default'}`);
    return { changed: `set ${words.join(' ')}`, result: effectiveSettings(current.plan.settings, next) };
  });
}

/** What people set for a run, as assignments; empty where they set nothing. */
export function assignmentsOf(set: RunSettings): string {
  return Object.entries(settings)
    .filter(([, { key }]) => set[key] !== undefined)
    .map(([name, { key }]) => `${name}=${set[key]}`)
    .join(' ');
}

/** What holds for a run now. */
export const settingsOf = (run: Run): EffectiveSettings => effectiveSettings(run.plan.settings, run.settings);
