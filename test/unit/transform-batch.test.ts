import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { classify } from '../../src/pg/failure-class.ts';
import { TransformBatch, type TransformBatchOptions } from '../../src/transform/batch.ts';
import { FrameReader } from '../../src/transform/decode/frame-reader.ts';
import { frameOf } from '../../src/transform/encode/frame-of.ts';
import {
  RowsRefused,
  TransformHeld,
  TransformResult,
  TransformThrew,
  TransformUnstable,
} from '../../src/transform/errors.ts';
import { loadTransform } from '../../src/transform/load.ts';
import type { BreakerOptions } from '../../src/transform/pace.ts';
import { openTransform, type Transform } from '../../src/transform/transform.ts';
import type { ResolvedTransform, TransformContext } from '../../src/transform/types.ts';

type Row = { n: number; s: string | null };

const plan: ResolvedTransform = {
  file: 'a.ts',
  export: 'default',
  hash: '',
  input: [
    { name: 'n', expression: 'c.n', type: 'integer', value: { name: 'int4', array: false }, nullable: false },
    { name: 's', expression: 'c.s', type: 'text', value: { name: 'text', array: false }, nullable: true },
  ],
  output: [
    { name: 'a', type: 'integer', value: { name: 'int4', array: false }, nullable: false, optional: false },
    { name: 'b', type: 'text', value: { name: 'text', array: false }, nullable: true, optional: true },
  ],
};

/** A transform of a function that stands in the test. */
function transformOf<A extends Row | Row[]>(
  call: (input: A, context: TransformContext) => unknown,
  settings: Partial<ResolvedTransform> = {},
  breaker?: BreakerOptions,
): Transform {
  const loaded = { call: call as never, hash: '', framesOf: () => ['a.ts:1:1'] };
  const idMap = async (name: string, key: unknown) => `${name}-${key}`;
  return openTransform('chunks', { ...plan, ...settings }, loaded, idMap, breaker);
}

/** Frames of rows 1 to `count`. */
const rowsTo = (count: number): Buffer =>
  frameOf(Array.from({ length: count }, (_, i) => `${i + 1}\ts${i + 1}\n`).join(''));

/** Runs one batch over rows 1 to `count`; gives the target's lines. */
async function run(transform: Transform, count: number, options: Partial<TransformBatchOptions> = {}) {
  const reader = new FrameReader();
  let text = '';
  const batch = new TransformBatch(transform, {
    signal: new AbortController().signal,
    write: (frames) => {
      text += reader.push(frames).toString();
    },
    ...options,
  });
  const frames = rowsTo(count);
  // In three pieces, cut within rows.
  const cuts = [0, Math.floor(frames.length / 3), Math.floor(frames.length / 2), frames.length];
  for (let i = 1; i < cuts.length; i++) await batch.push(frames.subarray(cuts[i - 1], cuts[i]));
  await batch.end();
  return { lines: text.split('\n').slice(0, -1), tally: batch.tally };
}

const thrownBy = (promise: Promise<unknown>) => promise.then(() => undefined).catch((error) => error);

describe('a function per row', () => {
  test('is called once with a row of megabytes, whose second try would hold up the process', async () => {
    const called: number[] = [];
    const transform = transformOf(({ n, s }: Row) => {
      called.push(n);
      return { a: n, b: s };
    });
    const batch = new TransformBatch(transform, { signal: new AbortController().signal, write: () => {} });
    const frames = frameOf(`1\ts\n2\t${'x'.repeat(2 ** 21)}\n3\ts\n`);
    await batch.push(frames.subarray(0, 9));
    for (let at = 9; at < frames.length; at += 65536) await batch.push(frames.subarray(at, at + 65536));
    await batch.end();
    expect(called).toEqual([1, 1, 2, 3]);
  });

  test('gives a row, several or none', async () => {
    const transform = transformOf(({ n, s }: Row) => {
      if (n % 4 === 0) return n % 8 === 0 ? undefined : null;
      if (n % 4 === 1) return { a: n, b: s };
      return n % 4 === 2 ? [] : [{ a: n }, { a: -n, b: 'second' }];
    });
    const { lines, tally } = await run(transform, 9);
    expect(lines).toEqual(['1\ts1', '3\t\\N', '-3\tsecond', '5\ts5', '7\t\\N', '-7\tsecond', '9\ts9']);
    expect(tally).toEqual({ rowsIn: 9, rowsNone: 4, rowsOut: 7 });
  });

  test('is written in binary up to a value that only text tells, with all rows of the one that has it; later batches are text', async () => {
    const day = {
      name: 'day',
      type: 'date',
      value: { name: 'date', array: false },
      nullable: false,
    } as const;
    const output = [plan.output[0]!, { ...day, optional: false }];
    const days = ['2024-01-01', 'infinity'];
    const transform = transformOf(({ n }: Row) => days.slice(0, n).map((at) => ({ a: n, day: at })), {
      output,
    });
    const formats: string[] = [];
    const write = (_: Buffer, format: string) => void formats.push(format);
    for (let batch = 0; batch < 2; batch++) {
      const { tally } = await run(transform, 3, { binary: true, write });
      expect(tally.rowsOut).toBe(5);
    }
    expect(formats).toEqual(['binary', 'text', 'text', 'text']);
  });

  test('may be async, now and then or always', async () => {
    const sometimes = transformOf(({ n }: Row) => (n > 3 ? Promise.resolve({ a: n }) : { a: n }));
    const always = transformOf(async ({ n }: Row) => ({ a: n }));
    for (const transform of [sometimes, always])
      expect((await run(transform, 5)).lines).toEqual(['1\t\\N', '2\t\\N', '3\t\\N', '4\t\\N', '5\t\\N']);
  });

  test('finds constants, id maps and the signal in its context, and cannot change them', async () => {
    const transform = transformOf(
      async (row: Row, { constants, idMap, signal }) => ({
        a: (constants.list as number[])[0]! + row.n,
        b: `${await idMap('customer', row.n)} ${signal.aborted} ${Object.isFrozen(constants.list)}`,
      }),
      { constants: { list: [10] } },
    );
    expect((await run(transform, 1)).lines).toEqual(['11\tcustomer-1 false true']);
  });

  test('that throws is told by row, name and place, and its message is kept apart', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rowfleet-transform-'));
    try {
      const code = [
        'class SecretError extends Error { name = "secret value" }',
        'export default ({ n, s }: { n: number; s: string }) => {',
        '  if (n === 5) throw new SecretError(`secret-${s}\\n    at rowfleet-transform-1.js:1:1`);',
        '  return { a: n };',
        '};',
      ];
      writeFileSync(join(folder, 'a.ts'), code.join('\n'));
      const transform = transformOf(() => null);
      transform.loaded = await loadTransform(folder, { file: 'a.ts', export: 'default' });
      const error = await thrownBy(run(transform, 9));
      expect(error).toBeInstanceOf(TransformThrew);
      expect(classify(error)).toBe('row');
      expect(error).toMatchObject({
        code: 'TRANSFORM_THREW',
        stage: 'transform',
        row: 4,
        rows: 1,
        thrown: 'Error',
        isAsync: false,
      });
      expect(error.frames).toContain('a.ts:3:22');
      expect(error.message).toContain('threw Error for row 5 of the batch at ');
      expect(JSON.stringify({ ...error, message: error.message, stack: error.stack })).not.toContain(
        'secret',
      );
      expect(error.sealedMessage()).toContain('secret-s5');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test.each([true, false])('a list with a hole is refused, not shortened (binary: %s)', async (binary) => {
    const holed: unknown[] = [];
    holed[1] = { a: 1 };
    const error = await thrownBy(
      run(
        transformOf(() => holed),
        2,
        { binary },
      ),
    );
    expect(error).toMatchObject({ row: 0, expected: 'a row (an object)', found: 'undefined' });
  });

  test('the key that the source sent ahead comes with the error, out of sight', async () => {
    const narrow = { ...plan, input: plan.input.slice(1) };
    const transform = transformOf(({ s }: Row) => ({ a: s === 's6' ? 'x' : 1 }), narrow);
    const error = await thrownBy(run(transform, 9, { before: 1 }));
    expect(error).toBeInstanceOf(TransformResult);
    expect(error.key()).toEqual(['6']);
    expect({ ...error }).not.toHaveProperty('key');
    expect(error).toMatchObject({ row: 5, column: 'a', found: 'a string' });
    expect(error.message).toBe(
      'the transform of chunks returned a string for column a where a whole number (number or bigint) from -2147483648 to 2147483647 for integer is expected (row 6 of the batch)',
    );
  });

  test.each([
    ['a counter', (calls: number) => ({ a: 1, b: `${calls}` }), ['b']],
    ['a row more', (calls: number) => (calls === 1 ? { a: 1 } : [{ a: 1 }, { a: 1 }]), []],
    ['none', (calls: number) => (calls === 1 ? { a: 1 } : null), []],
  ])('that is not the same twice is found: %s', async (_, result, columns) => {
    let calls = 0;
    const error = await thrownBy(
      run(
        transformOf(() => result(++calls)),
        3,
      ),
    );
    expect(error).toBeInstanceOf(TransformUnstable);
    expect(error).toMatchObject({ row: 0, columns });
    expect(classify(error)).toBe('give up');
  });

  test('that changes its input is not held to be unstable', async () => {
    const { lines } = await run(
      transformOf((row: Row) => ({ a: ++row.n })),
      2,
    );
    expect(lines).toEqual(['2\t\\N', '3\t\\N']);
  });

  test('lets timers go on, and ends soon after an abort', async () => {
    const abort = new AbortController();
    let ticks = 0;
    const timer = setInterval(() => {
      if (++ticks === 3) abort.abort(new Error('given up'));
    }, 1);
    let calls = 0;
    const slow = transformOf(({ n }: Row) => {
      calls++;
      for (const until = performance.now() + 0.5; performance.now() < until; );
      return { a: n };
    });
    const error = await thrownBy(run(slow, 5_000, { signal: abort.signal }));
    clearInterval(timer);
    expect(error.message).toBe('given up');
    expect(calls).toBeLessThan(1_000);
  });

  test('that waits for ever ends with an abort too', async () => {
    const abort = new AbortController();
    const waiting = transformOf(async () => {
      setImmediate(() => abort.abort(new Error('given up')));
      return new Promise(() => {});
    });
    expect((await thrownBy(run(waiting, 1, { signal: abort.signal }))).message).toBe('given up');
  });
});

describe('a function per chunk', () => {
  test('takes so many rows, whatever comes at once, and fewer at the end', async () => {
    const sizes: number[] = [];
    const transform = transformOf(
      async (rows: Row[]) => {
        sizes.push(rows.length);
        return rows.map(({ n }) => (n % 3 === 0 ? null : n % 3 === 1 ? { a: n } : [{ a: n }, { a: n }]));
      },
      { chunk: 4 },
    );
    const { lines, tally } = await run(transform, 10);
    expect(sizes).toEqual([4, 4, 2]);
    expect(lines.map((line) => Number(line.split('\t')[0]))).toEqual([1, 2, 2, 4, 5, 5, 7, 8, 8, 10]);
    expect(tally).toEqual({ rowsIn: 10, rowsNone: 3, rowsOut: 10 });
  });

  test.each([
    ['another length', (rows: Row[]) => rows.slice(1).map(({ n }) => ({ a: n })), 'an array of 3', 4],
    ['no array', () => ({ a: 1 }), 'an object', 4],
    [
      'a wrong row',
      (rows: Row[]) => rows.map(({ n }) => ({ a: n === 7 ? 1.5 : n })),
      'a number with a fraction',
      1,
    ],
  ])('that returns %s is told what and where', async (_, call, found, rows) => {
    const error = await thrownBy(run(transformOf(call as never, { chunk: 4 }), 9));
    expect(error).toBeInstanceOf(TransformResult);
    expect(error).toMatchObject({ found, rows, row: rows === 1 ? 6 : 0 });
  });

  test('that throws is told by the rows of the call', async () => {
    const transform = transformOf(
      async (rows: Row[]) => {
        if (rows[0]!.n > 4) throw new RangeError('secret');
        return rows.map(() => null);
      },
      { chunk: 4 },
    );
    const error = await thrownBy(run(transform, 9));
    expect(error).toMatchObject({ row: 4, rows: 4, thrown: 'RangeError', isAsync: true });
    expect(error.message).toContain('rows 5 to 8 of the batch');
  });

  test('that is not async is tried twice at the beginning', async () => {
    let calls = 0;
    const transform = transformOf((rows: Row[]) => rows.map(({ n }) => ({ a: n === 3 ? ++calls : n })), {
      chunk: 4,
    });
    const error = await thrownBy(run(transform, 9));
    expect(error).toBeInstanceOf(TransformUnstable);
    expect(error).toMatchObject({ row: 2, columns: ['a'] });
  });
});

describe('calls that others must bear', () => {
  test('are spaced, over all batches of the process', async () => {
    const at: number[] = [];
    const transform = transformOf(
      async (rows: Row[]) => {
        at.push(performance.now());
        return rows.map(() => null);
      },
      { chunk: 2, callsPerSecond: 50 },
    );
    const began = performance.now();
    await Promise.all([run(transform, 6), run(transform, 4)]);
    expect(at).toHaveLength(5);
    // Four spaces of 20 ms behind the first turn; a busy process may begin that one late.
    expect(at[4]! - began).toBeGreaterThan(75);
  });

  test('are not made for a while after failures in a row, and one is tried then', async () => {
    let isDown = true;
    let calls = 0;
    const call = async (rows: Row[]) => {
      calls++;
      await Promise.resolve();
      if (isDown) throw new Error('down');
      return rows.map(({ n }) => ({ a: n }));
    };
    const transform = transformOf(call, { chunk: 4 }, { failures: 2, heldMs: 60 });
    const outcomes = [];
    for (let i = 0; i < 3; i++) outcomes.push(await thrownBy(run(transform, 4)));
    expect(outcomes.map((error) => error.code)).toEqual([
      'TRANSFORM_THREW',
      'TRANSFORM_THREW',
      'TRANSFORM_HELD',
    ]);
    expect(calls).toBe(2);
    const held: TransformHeld = outcomes[2];
    expect(held).toBeInstanceOf(TransformHeld);
    expect(held.until.getTime() - Date.now()).toBeGreaterThan(0);
    expect(classify(held)).toBe('wait');
    isDown = false;
    await expect.poll(() => thrownBy(run(transform, 4)), { interval: 10 }).toBe(undefined);
    expect(calls).toBe(3);
  });

  test('that rows themselves made fail are no reason to hold the others', async () => {
    const transform = transformOf(
      (rows: Row[]) => {
        if (rows.length === 4) throw new Error('for this row');
        return Promise.resolve(rows.map(() => null));
      },
      { chunk: 4, callsPerSecond: 1000 },
      { failures: 2, heldMs: 60_000 },
    );
    for (let i = 0; i < 4; i++) expect((await thrownBy(run(transform, 4))).code).toBe('TRANSFORM_THREW');
    expect((await run(transform, 3)).tally.rowsNone).toBe(3);
  });
});

describe('rows that are gathered', () => {
  /** The numbers of the rows that were refused. */
  const gathered = async (transform: Transform, count: number) => {
    const error = await thrownBy(run(transform, count, { gather: true }));
    return error instanceof RowsRefused ? error.rows.map(({ row }) => row + 1) : error;
  };

  test('are all that are refused, one by one, also of a chunk', async () => {
    const each = transformOf(({ n }: Row) => {
      if (n % 3 === 0) throw new Error('three');
      return n === 4 ? { a: 'four' } : { a: n };
    });
    expect(await gathered(each, 9)).toEqual([3, 4, 6, 9]);
    const calls: number[] = [];
    const chunk = transformOf(
      async (rows: Row[]) => {
        calls.push(rows.length);
        if (rows.some(({ n }) => n === 1)) throw new Error('one of them');
        return rows.map(({ n }) => (n === 70 ? { b: 'no a' } : { a: n }));
      },
      { chunk: 64 },
    );
    expect(await gathered(chunk, 100)).toEqual([1, 70]);
    expect(calls).toEqual([64, 32, 16, 8, 4, 2, 1, 1, 2, 4, 8, 16, 32, 36]);
  });

  test('that fail one after the other are told from a service that does, by one that went well', async () => {
    let down = false;
    const transform = transformOf(async ({ n }: Row) => {
      if (down || n > 2) throw new Error('no answer');
      return { a: n };
    });
    expect(await gathered(transform, 12)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    down = true;
    expect(await gathered(transform, 12)).toBeInstanceOf(TransformHeld);
  });
});
