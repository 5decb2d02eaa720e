import { expect, it } from 'vitest';
import { assignmentsOf, parseSettings } from '../../src/control/settings.ts';
import { parsePlan } from '../../src/plan/read/parse.ts';
import { effectiveSettings } from '../../src/run/effective-settings.ts';
import { emptyPlan } from '../ledger.ts';
import { brief, planFile, planText } from '../plan.ts';

const thrown = (fn: () => unknown) => {
  try {
    fn();
  } catch (error) {
    return error;
  }
  return undefined;
};

it('assignments are read, and printed as they were given', () => {
  expect(parseSettings([])).toEqual({});
  const changes = parseSettings(['concurrency=4', 'batch_seconds=0.5', 'max_mb=default']);
  expect(changes).toEqual({ concurrency: 4, batchSeconds: 0.5, maxBatchMb: null });
  expect(assignmentsOf({ batchSeconds: 0.5, concurrency: 4 })).toBe('concurrency=4 batch_seconds=0.5');
});

it.each([
  ['concurency=4', 'SETTING_UNKNOWN', 'did you mean concurrency?'],
  ['speed=4', 'SETTING_UNKNOWN', 'there are concurrency, batch_seconds, max_mb'],
  ['concurrency', 'SETTING_INVALID', 'write concurrency=<value>'],
  ['concurrency=0', 'SETTING_INVALID', 'concurrency=default takes what was set back'],
  ['concurrency=2.5', 'SETTING_INVALID', 'concurrency=default takes what was set back'],
  ['batch_seconds=1e3', 'SETTING_INVALID', 'batch_seconds=default takes what was set back'],
  ['max_mb=', 'SETTING_INVALID', 'max_mb=default takes what was set back'],
])('%s is refused', (assignment, code, hint) => {
  expect(thrown(() => parseSettings([assignment]))).toMatchObject({ code, kind: 'usage', hint });
});

it('what people set goes before the plan, the plan before the default', () => {
  const plan = emptyPlan.settings;
  expect(effectiveSettings(plan, {})).toEqual({
    concurrency: { value: null, origin: 'default' },
    batchSeconds: { value: 2, origin: 'default' },
    maxBatchMb: { value: 256, origin: 'default' },
  });
  expect(effectiveSettings({ ...plan, batchTimeoutMs: 3000 }, {}).batchSeconds.value).toBe(0.5);
  expect(effectiveSettings({ ...plan, batchSeconds: 5, maxBatchMb: 10 }, { batchSeconds: 7 })).toMatchObject({
    batchSeconds: { value: 7, origin: 'set' },
    maxBatchMb: { value: 10, origin: 'plan' },
  });
});

it('a plan that aims at more than its timeout allows is refused', () => {
  const parse = (body: string) => parsePlan(planText(`migration: {${body}}\ntables: "*"\n`), planFile);
  expect(parse('batch_seconds: 4, max_batch_mb: 64, timeout_per_batch: 10s').plan?.settings).toMatchObject({
    batchSeconds: 4,
    maxBatchMb: 64,
  });
  expect(parse('batch_seconds: 4, timeout_per_batch: 5s').problems.map(brief).join()).toContain(
    'must be at most half of timeout_per_batch',
  );
});
