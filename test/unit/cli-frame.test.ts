import { describe, expect, it } from 'vitest';
import { renderFrame } from '../../ops/cli/render/frame.ts';
import { widthOf } from '../../ops/cli/render/text.ts';
import type { Hold } from '../../src/ledger/holds.ts';
import { aFlow, aSnapshot } from './cli-snapshot.ts';

const draw = (snapshot = aSnapshot(), columns = 80, rows = 24) =>
  renderFrame(snapshot, { columns, rows, color: false });

const hostile = [
  '日本語のテーブル名はとても長いことがある、本当に長い',
  'family 👨‍👩‍👧‍👦 and flags 🇦🇹🇯🇵 everywhere in the name',
  'e\u0301'.repeat(40),
  'line\nbreak\u001b[2Jand\u202eback',
  'a'.repeat(63),
];

describe('a frame', () => {
  it('has a title, a line per table and the whole with its ETA', () => {
    const lines = draw(aSnapshot({ flows: [aFlow(), aFlow({ name: 'tags', state: 'done', fraction: 1 })] }));
    expect(lines).toHaveLength(5);
    expect(lines[0]).toMatch(/^unified-chunks · run 12 · copy +1:23$/);
    expect(lines[1]).toMatch(/^chunks {3}█+▌░+ +50% +500,000 rows +98,120 rows\/s$/);
    expect(lines[2]).toMatch(/^tags {5}█+ +100% /);
    expect(lines[3]).toMatch(/^all {6}█+.*32% +500,000 rows +98,120 rows\/s$/);
    expect(lines[4]).toBe('ETA 0:45 · 9.5 MB/s · 4 batches running · 0 loaders');
  });

  it.each([80, 40, 120])('fills %i columns exactly, whatever the names', (columns) => {
    const flows = hostile.map((name, i) =>
      aFlow({ name, rows: 10 ** (2 * i + 1), rowsPerSecond: 10 ** (2 * i) }),
    );
    const lines = draw(aSnapshot({ flows }), columns);
    for (const line of lines.slice(0, 1 + flows.length + 1))
      expect([line, widthOf(line)]).toEqual([line, columns]);
    for (const line of lines) {
      expect(widthOf(line)).toBeLessThanOrEqual(columns);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be left.
      expect(line).not.toMatch(/[\u0000-\u001f\u202e]/);
    }
  });

  it('shows what runs, and sums the rest up, when there are more tables than lines', () => {
    const flows = Array.from({ length: 100 }, (_, i) =>
      aFlow({ name: `table ${i}`, state: i === 57 ? 'copying' : i < 57 ? 'done' : 'waiting', rows: 10 }),
    );
    const lines = draw(aSnapshot({ flows }), 80, 12);
    expect(lines.length).toBeLessThanOrEqual(12);
    expect(lines.join('\n')).toContain('table 57 ');
    expect(lines.join('\n')).toContain('… 92 more tables: 57 done, 35 to come, 920 rows');
  });

  it('says what the run waits for', () => {
    const snapshot = aSnapshot({ waiting: 'for a lock on public.chunks, held by pid 4711' });
    expect(draw(snapshot).at(-1)).toBe('waiting for a lock on public.chunks, held by pid 4711');
  });

  it('says what holds the run, since when and for how long, before what a flow is held for', () => {
    const since = new Date('2026-03-01T12:01:11Z');
    const flow = { flow: 'chunks', kind: 'pause', cause: 'ops', reason: 'paused by ops', since } as const;
    const reason = 'the replication lag of east is 83 s, over 60 s';
    const whole = { flow: null, kind: 'throttle', cause: 'replication_lag', reason, since } as const;
    const last = (holds: Hold[]) =>
      draw(aSnapshot({ holds, waiting: holds.length > 1 ? reason : null }), 100).at(-1);
    expect(last([flow])).toMatch(/^flow chunks held since \d\d:01:11 \(3:20\): paused by ops$/);
    expect(last([flow, whole])).toMatch(
      /^held since \d\d:01:11 \(3:20\): the replication lag of east is 83 s, /,
    );
  });

  it('says which batch is tried again, and when', () => {
    const notBefore = new Date('2026-03-01T12:04:31');
    const troubled = {
      id: '7',
      kind: 'batch' as const,
      relation: 'public.chunks',
      label: 'batch of chunks',
      state: 'waiting' as const,
      attempt: 2,
      failures: 2,
      notBefore,
      seconds: null,
      evidence: null,
      error: { code: 'X', message: 'disk full' },
    };
    const last = draw(aSnapshot({ troubled: [troubled] })).at(-1);
    expect(last).toBe('batch of chunks failed 2 times (next try 12:04:31): disk full');
  });

  it('colours nothing unless told to, and takes no room for colours', () => {
    const flows = [aFlow({ state: 'done', fraction: 1 })];
    const colored = renderFrame(aSnapshot({ flows }), { columns: 80, rows: 24, color: true });
    expect(colored.join('')).toContain('\u001b[32m');
    expect(colored.map(widthOf)).toEqual(draw(aSnapshot({ flows })).map(widthOf));
    expect(draw(aSnapshot({ flows })).join('')).not.toContain('\u001b');
  });
});
