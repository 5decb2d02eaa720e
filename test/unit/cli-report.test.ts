import { describe, expect, it } from 'vitest';
import { nextSteps } from '../../ops/cli/next-steps.ts';
import { palette } from '../../ops/cli/render/color.ts';
import { renderErrors } from '../../ops/cli/render/errors.ts';
import { renderFindings } from '../../ops/cli/render/findings.ts';
import { renderFrame } from '../../ops/cli/render/frame.ts';
import { renderLine } from '../../ops/cli/render/plain.ts';
import { renderRuns, renderStatus } from '../../ops/cli/render/status.ts';
import { renderSummary } from '../../ops/cli/render/summary.ts';
import type { ErrorPattern } from '../../src/ledger/error-patterns.ts';
import type { Hold } from '../../src/ledger/holds.ts';
import type { RecordedFinding } from '../../src/ledger/read-findings.ts';
import type { RunningAttempt, TaskProgress } from '../../src/ledger/read-tasks.ts';
import { excerpts } from '../../src/validate/excerpt.ts';
import { aSnapshot } from './cli-snapshot.ts';

const aTask = (part: Partial<TaskProgress>): TaskProgress => ({
  ...{
    id: '1',
    kind: 'check',
    relation: 'public.t',
    label: 'digest',
    state: 'done',
    attempt: 1,
    failures: 0,
  },
  ...{ notBefore: null, seconds: 1.25, evidence: { rows: 1234 }, error: null },
  ...part,
});

const finding: RecordedFinding = {
  id: '1',
  check: 'digest',
  relation: 'public.t',
  summary: '2 rows differ',
  details: [
    { key: { id: '1' }, column: 'c', problem: 'different', expected: null, found: '' },
    { key: { id: 'a\u001b[2J' }, problem: 'missing' },
    { key: {}, problem: 'duplicate' },
  ],
  foundAt: new Date(),
};

describe('findings', () => {
  it('show as much of a value as the ledger keeps: the difference may stand at its end', () => {
    const { expected, found } = excerpts(`${'x'.repeat(198)}1`, `${'x'.repeat(198)}2`);
    const details = [{ key: { id: '1' }, column: 'c', problem: 'different' as const, expected, found }];
    expect(renderFindings([{ ...finding, details }], palette(false))[1]).toMatch(/x1', found 'x+2'$/);
  });

  it('name key, column and both values, NULL apart from the empty text', () => {
    expect(renderFindings([finding], palette(false), 2)).toEqual([
      '  ✗ digest  public.t  2 rows differ',
      `    id='1'  c: expected NULL, found ''`,
      `    id='a\\u001b[2J'  missing`,
      '    … 1 more row in the ledger (rowfleet.finding)',
    ]);
    expect(renderFindings([finding], palette(false)).at(-1)).toBe('    (no key)  duplicate');
  });
});

describe('the summary', () => {
  it('says how a run ended, what it moved and what was checked', () => {
    const checks = ['digest', 'orphans of a_fkey', 'orphans of b_fkey'].map((label) => aTask({ label }));
    const snapshot = aSnapshot({ checks, builds: [aTask({ kind: 'build' }), aTask({ state: 'failed' })] });
    snapshot.run = { ...snapshot.run, state: 'findings' };
    expect(renderSummary(snapshot, [finding], false)).toEqual([
      'finished with findings: run 12 of unified-chunks',
      '  copied   490,000 rows, 50.0 MB in 1:00 · 98,120 rows/s · 9.5 MB/s · 12 batches',
      '  built    1 of 2 indexes and keys',
      '  checked  3 of 3: digest 1, orphans 2',
      '  took     1:23 in all',
      '  1 finding:',
      ...renderFindings([finding], palette(false), 5),
    ]);
  });

  it('counts no build that found what it cannot build, and says that a validation changed nothing', () => {
    const found = { evidence: { findings: 1 }, label: 'unique t_key', kind: 'build' } as const;
    const builds = [aTask({ kind: 'build', evidence: null }), aTask(found)];
    const snapshot = aSnapshot({ builds });
    expect(renderSummary(snapshot, [], false).join('\n')).toContain('built    1 of 2 indexes and keys');
    expect(renderStatus(snapshot, [], false).join('\n')).toContain('  ✗ unique t_key');
    const run = { ...snapshot.run, kind: 'validate', state: 'cancelled' } as const;
    expect(renderSummary({ ...snapshot, run }, [], false)[1]).toBe('  nothing was changed: it only read');
  });

  it('names the cause of a failure and what to do', () => {
    const snapshot = aSnapshot();
    const error = {
      code: 'BATCH_TIMEOUT',
      class: 'shrink' as const,
      message: 'batch 3 took too long',
      hint: 'raise timeout_per_batch',
    };
    snapshot.run = { ...snapshot.run, state: 'failed', error };
    const text = renderSummary(snapshot, [], false).join('\n');
    expect(text).toContain(
      '  cause    batch 3 took too long [BATCH_TIMEOUT, shrink]\n           → raise timeout_per_batch',
    );
  });
});

describe('the status', () => {
  it('shows what runs where, what is tried again and when, and why nothing goes on', () => {
    const attempt = {
      ...{ taskId: '7', number: 2, kind: 'batch' as const, label: 'batch of chunks', relation: 'public.t' },
      ...{ flow: 'chunks', worker: 'loader-1', host: 'node7', pid: 4711, startedAt: new Date(), seconds: 12 },
      ...{ leaseUntil: new Date(), leaseLost: true, bytes: 2_500_000, waiting: null },
    };
    const trouble = aTask({
      ...{ kind: 'batch', label: 'batch of chunks', state: 'waiting', seconds: null, evidence: null },
      ...{
        notBefore: new Date('2026-03-01T12:04:31'),
        error: { code: '57P01', class: 'wait', message: 'gone' },
      },
    });
    const text = renderStatus(
      aSnapshot({
        attempts: [attempt],
        troubled: [trouble],
        waiting: 'for a loader to join: none is running (`rowfleet loader` starts one)',
      }),
      [],
      false,
    ).join('\n');
    expect(text).toContain(
      '  batch of chunks  public.t  for 0:12, 2.5 MB, attempt 2, lease run out  on node7 pid 4711 (loader-1)',
    );
    expect(text).toContain(
      '  · batch of chunks  public.t  waiting, retrying at 12:04:31: gone [57P01, wait]',
    );
    expect(text).toContain('  waiting  for a loader to join: none is running (`rowfleet loader` starts one)');
    expect(text).not.toContain('finding');
  });

  it('names everything that holds the run back once, and what people set', () => {
    const since = new Date('2026-03-01T12:04:01Z');
    const holds: Hold[] = [
      { flow: null, kind: 'throttle', cause: 'vacuum', reason: 'a vacuum or analyze is at public.t', since },
      { flow: 'chunks', kind: 'pause', cause: 'ops', reason: 'paused by ops', since },
    ];
    const run = { ...aSnapshot().run, settings: { concurrency: 1, batchSeconds: 5 } };
    const snapshot = aSnapshot({ run, holds, waiting: 'a vacuum or analyze is at public.t' });
    const lines = renderStatus(snapshot, [], false);
    expect(lines.filter((line) => /held|waiting {2}| {2}set/.test(line))).toEqual([
      '  set      concurrency=1 batch_seconds=5',
      expect.stringMatching(/^ {2}held since \d\d:04:01 \(0:30\): a vacuum or analyze is at public\.t$/),
      expect.stringMatching(/^ {2}flow chunks held since \d\d:04:01 \(0:30\): paused by ops$/),
    ]);
    expect(renderLine(snapshot)).toMatch(
      / {2}held since .*: a vacuum .* {2}flow chunks held since .*: paused by ops$/,
    );
  });

  it('lists runs in columns', () => {
    const { run } = aSnapshot();
    expect(renderRuns([{ ...run, heldBy: 'pause' }], false)[1]).toContain('  migrate  paused ');
    const [head, line] = renderRuns([run], false);
    expect(head).toMatch(/^run {2}plan {12}kind {5}state {4}phase {2}findings {2}started {14}took$/);
    expect(line).toMatch(
      /^ 12 {2}unified-chunks {2}migrate {2}running {2}copy {10}0 {2}2026-03-01 12:03:08 {2}1:23$/,
    );
    expect(renderRuns([], false)).toEqual(['no runs yet: rowfleet migrate -c plan.yaml starts one']);
  });
});

describe('the errors of a run', () => {
  const at = new Date('2026-03-01T12:04:31');
  const pattern: ErrorPattern = {
    ...{ class: 'give up', code: '42501', constraint: null, relation: 'public.book', side: 'target' },
    ...{ count: 1, firstAt: at, lastAt: at, message: 'permission denied for table book (SQLSTATE 42501)' },
  };

  it('fit into 80 columns, whatever their names', () => {
    const long = { ...pattern, code: 'CONNECTION_TERMINATED', relation: `public.${'x'.repeat(63)}` };
    const text = renderErrors([pattern, { ...long, constraint: 'y'.repeat(63), count: 123_456 }], 80, false);
    expect(Math.max(...text.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(text.slice(0, 2)).toEqual([
      'class    code                   table                  server    times      last',
      'give up  42501                  public.book            target        1  12:04:31',
    ]);
    expect(text[2]).toBe('  permission denied for table book (SQLSTATE 42501)');
    expect(text[3]).toMatch(/123,456 {2}12:04:31$/);
    expect(text[4]).toMatch(/^ {2}y{63}: perm.*…$/);
    expect(renderErrors([], 80, false)).toEqual(['no attempt of this run failed']);
  });
});

describe('a plain line', () => {
  it('has the figures of its phase', () => {
    expect(renderLine(aSnapshot())).toMatch(
      /^\d\d:\d\d:31 {2}run 12 {2}copy {2}32% {2}500,000 of about 1,000,000 rows {2}98,120 rows\/s {2}9\.5 MB\/s {2}4 batches running, 12 done {2}ETA 0:45$/,
    );
    const verifying = aSnapshot({ checks: [aTask({}), aTask({ state: 'running' })] });
    verifying.run = { ...verifying.run, phase: 'verify', findings: 1 };
    expect(renderLine(verifying)).toMatch(/verify {2}32% {2}checks 1 of 2 {2}1 finding$/);
    const attempt = { kind: 'check', label: 'digest', relation: 'public.t', seconds: 492 };
    verifying.attempts = [attempt as RunningAttempt];
    const running = 'running digest on public.t for 8:12';
    expect(renderLine(verifying)).toContain(`checks 1 of 2  ${running}  1 finding`);
    expect(renderFrame(verifying, { columns: 80, rows: 9, color: false }).at(-1)).toBe(running);
  });
});

describe('what to type next', () => {
  const run = (part: object) => ({ ...aSnapshot({}).run, id: '2', ...part });

  it('is a whole command, that goes without a plan file where the environment says where the target is', () => {
    expect(nextSteps(run({ state: 'failed' }), ' -c p.yaml')[1]).toBe('  rowfleet resume -c p.yaml 2');
    const refused = { code: '22P02', class: 'row' as const, message: 'no' };
    expect(nextSteps(run({ state: 'failed', error: refused }), ' -c p.yaml').at(-1)).toBe(
      '  rowfleet revise -c p.yaml 2 && rowfleet resume -c p.yaml 2',
    );
    expect(nextSteps(run({ state: 'stopped' }), '')).toEqual(['  rowfleet resume 2   goes on with it']);
    expect(nextSteps(run({ state: 'quarantined' }), '')[1]).toBe('  rowfleet quarantine retry --all --run 2');
  });

  it('is retry beside resume where rows are refused too, and another validation where there was one', () => {
    const both = nextSteps(run({ state: 'findings', quarantined: 3 }), '').join('\n');
    expect(both).toMatch(/quarantine retry --all --run 2 +for the 3 rows[\s\S]*rowfleet resume 2/);
    const validated = nextSteps(run({ state: 'findings', kind: 'validate' }), ' -c p.yaml');
    expect(validated.at(-1)).toBe('  rowfleet validate -c p.yaml');
  });
});
