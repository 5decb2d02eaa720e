import { describe, expect, it } from 'vitest';
import { parsePlan } from '../../src/plan/read/parse.ts';
import { decideThrottle } from '../../src/run/throttle.ts';
import { brief, planFile, planText } from '../plan.ts';

const minute = 60_000;
const lag = { limit: 60, atMostMs: 15 * minute };
const reading = (value: number) => ({ value, what: `the replication lag of east is ${value} s` });
const free = { heldSince: null, overruled: false };
const held = { heldSince: 0, overruled: false };

const decide = (value: number, state: typeof free | typeof held, now = minute) =>
  decideThrottle('replication_lag', lag, reading(value), state, now);

describe('a measure', () => {
  it('holds the run above its limit, with the number behind it', () => {
    expect(decide(60, free)).toEqual({ step: { kind: 'none' }, state: free });
    expect(decide(83, free)).toEqual({
      step: { kind: 'hold', reason: 'the replication lag of east is 83 s, over 60 s' },
      state: { heldSince: minute, overruled: false },
    });
    expect(decide(84, held)).toMatchObject({ step: { kind: 'hold' }, state: held });
  });

  it('lets it go on well below the limit', () => {
    expect(decide(49, held)).toMatchObject({ step: { kind: 'hold' }, state: held });
    expect(decide(48, held)).toEqual({
      step: { kind: 'lift', reason: 'the replication lag of east is 48 s' },
      state: free,
    });
    expect(decide(48, free)).toEqual({ step: { kind: 'none' }, state: free });
  });

  it('gives way when its time is up, until it has come down once', () => {
    const late = decide(83, held, 15 * minute + 1);
    expect(late).toMatchObject({ step: { kind: 'give way' }, state: { heldSince: null, overruled: true } });
    const still = decideThrottle('replication_lag', lag, reading(90), late.state, 16 * minute);
    expect(still).toEqual({ step: { kind: 'none' }, state: late.state });
    const down = decideThrottle('replication_lag', lag, reading(10), still.state, 17 * minute);
    expect(down).toEqual({ step: { kind: 'none' }, state: free });
  });

  it('of no limit holds at the first one', () => {
    const vacuum = { value: 1, what: 'a vacuum or analyze is at public.book' };
    const at = (value: number, state: typeof free | typeof held) =>
      decideThrottle('vacuum', { limit: 0, atMostMs: minute }, { ...vacuum, value }, state, 0);
    expect(at(0, free).step).toEqual({ kind: 'none' });
    expect(at(1, free).step).toEqual({ kind: 'hold', reason: vacuum.what });
    expect(at(0, held).step.kind).toBe('lift');
  });

  it('of space fails the run when its time is up, counted from when the trouble began', () => {
    const size = { value: 512, what: 'the target database has 512.0 GB' };
    const full = { limit: 500, atMostMs: minute };
    expect(decideThrottle('target_gb', full, size, held, minute).step.kind).toBe('hold');
    expect(decideThrottle('target_gb', full, size, held, minute + 1)).toEqual({
      step: { kind: 'fail', reason: 'the target database has 512.0 GB, over 500 GB' },
      state: free,
    });
    expect(decideThrottle('target_gb', full, { ...size, value: 496 }, held, 0).step.kind).toBe('hold');
    const long = { value: 2, what: 'the disk of the target is full', since: -minute };
    expect(decideThrottle('disk_full', { ...full, limit: 0 }, long, free, 1).step.kind).toBe('fail');
  });
});

describe('migration.throttle', () => {
  const parse = (throttle: string) =>
    parsePlan(planText(`migration:\n  throttle: ${throttle}\ntables: "*"\n`), planFile);
  const quarter = 15 * minute;

  it('watches lag and disk by default, and what is asked for besides', () => {
    expect(parse('{}').plan?.settings.throttle).toEqual({
      replication_lag: { limit: 60, atMostMs: quarter },
      disk_full: { limit: 0, atMostMs: quarter },
    });
    const all = `{replication_lag: {limit: 10s}, wal_to_archive: {limit: 100, at_most: 1h}, vacuum: {limit: 0},
      source_sessions: {limit: 40, at_most: 90s}, disk: {target_gb: 0.5, at_most: 2m}}`;
    expect(parse(all).plan?.settings.throttle).toEqual({
      replication_lag: { limit: 10, atMostMs: quarter },
      wal_to_archive: { limit: 100, atMostMs: 60 * minute },
      vacuum: { limit: 0, atMostMs: quarter },
      source_sessions: { limit: 40, atMostMs: 90_000 },
      disk_full: { limit: 0, atMostMs: 2 * minute },
      target_gb: { limit: 0.5, atMostMs: 2 * minute },
    });
    expect(parse('{replication_lag: off, vacuum: off}').plan?.settings.throttle).toEqual({
      disk_full: { limit: 0, atMostMs: quarter },
    });
  });

  it.each([
    ['{lag: {limit: 3s}}', 'there is no key "lag"'],
    ['{vacuum: {limt: 0}}', 'Did you mean limit?'],
    ['{vacuum: {}}', 'migration.throttle.vacuum.limit'],
    ['{vacuum: 3}', 'must be off, or a mapping with limit and at_most'],
    ['{source_sessions: {limit: 0}}', 'must be at least 1'],
    ['{replication_lag: {limit: fast}}', 'must be a duration such as 30s, 500ms or 2m'],
    ['{disk: {at_most: 5ms}}', 'must be at least 1s'],
  ])('%s is refused', (throttle, expected) => {
    const { plan, problems } = parse(throttle);
    expect(plan).toBeUndefined();
    expect(
      JSON.stringify(problems.map((problem) => [brief(problem), problem.at.path, problem.hint])),
    ).toContain(JSON.stringify(expected).slice(1, -1));
  });
});
