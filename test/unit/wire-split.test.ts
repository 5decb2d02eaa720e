import { describe, expect, it } from 'vitest';
import { envelope } from '../../src/wire/binary-format.ts';
import type { DrainedRows } from '../../src/wire/frame-writer.ts';
import { type Part, Splitter } from '../../src/wire/split.ts';

type Format = 'binary' | 'text';
type Value = string | null;

const frame = (payload: Buffer): Buffer => {
  const head = Buffer.from([0x64, 0, 0, 0, 0]);
  head.writeInt32BE(payload.length + 4, 1);
  return Buffer.concat([head, payload]);
};

const binaryRow = (values: (Value | boolean)[]): Buffer =>
  Buffer.concat([
    Buffer.from([0, values.length]),
    ...values.flatMap((value) => {
      const bytes = typeof value === 'boolean' ? Buffer.from([Number(value)]) : Buffer.from(value ?? '');
      const length = Buffer.alloc(4);
      length.writeInt32BE(value === null ? -1 : bytes.length);
      return [length, bytes];
    }),
  ]);

const escapes: Record<string, string> = { '\t': '\\t', '\n': '\\n', '\\': '\\\\' };
const textField = (value: Value | boolean): string => {
  if (value === null) return '\\N';
  if (typeof value === 'boolean') return value ? 't' : 'f';
  return value.replace(/[\t\n\\]/g, (found) => escapes[found]!);
};
const textRow = (values: (Value | boolean)[]): Buffer => Buffer.from(`${values.map(textField).join('\t')}\n`);

const rowOf = { binary: binaryRow, text: textRow };
const binaryHeader = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);

/** What a server sends: a frame a row, and a binary COPY's trailer as another; its header stands in the first. */
function sent(format: Format, rows: (Value | boolean)[][], header = binaryHeader): Buffer {
  const payloads = rows.map(rowOf[format]);
  if (format === 'text') return Buffer.concat(payloads.map(frame));
  const [first, ...others] = [...payloads, Buffer.from([0xff, 0xff])];
  return Buffer.concat([Buffer.concat([header, first!]), ...others].map(frame));
}

/** The payloads of whole frames, put together. */
function payload(frames: Buffer[]): Buffer {
  const found: Buffer[] = [];
  for (const bytes of frames) {
    expect(bytes[0]).toBe(0x64);
    expect(bytes.readInt32BE(1)).toBe(bytes.length - 1);
    found.push(bytes.subarray(5));
  }
  return Buffer.concat(found);
}

const content = ({ frames }: DrainedRows): string => payload(frames).toString('latin1');
const expected = (format: Format, rows: Value[][]): string =>
  Buffer.concat(rows.map(rowOf[format])).toString('latin1');

const parts: Part[] = [
  { columns: 2, flag: false },
  { columns: 1, flag: true },
  { columns: 2, flag: true },
];
const rows: (Value | boolean)[][] = [
  ['1', 'tab\there', true, 'new\nline', false, 'not', 'here'],
  ['2', null, false, null, true, '\\N', ''],
  ['3', '\\', true, '', true, null, null],
  ['4', 'ü🏠', null, 'no', null, 'no', 'no'],
];
const wanted: Value[][][] = [
  [
    ['1', 'tab\there'],
    ['2', null],
    ['3', '\\'],
    ['4', 'ü🏠'],
  ],
  [['new\nline'], ['']],
  [
    ['\\N', ''],
    [null, null],
  ],
];

describe.each(['text', 'binary'] as const)('a COPY in %s, split', (format) => {
  it('gives each output its fields of the rows that are for it, wherever the frames are cut', async () => {
    const bytes = sent(format, rows);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const splitter = new Splitter(parts, format);
      splitter.take(bytes.subarray(0, cut));
      splitter.take(bytes.subarray(cut));
      expect(splitter.rows).toBe(rows.length);
      const drained = await splitter.drain();
      expect(drained.map((output) => output.rows)).toEqual([4, 2, 2]);
      expect(drained.map(content), `cut at ${cut}`).toEqual(wanted.map((part) => expected(format, part)));
    }
  });

  it('takes single bytes in memory that is used again', async () => {
    const splitter = new Splitter(parts, format);
    const socket = Buffer.alloc(1);
    for (const byte of sent(format, rows)) {
      socket[0] = byte;
      splitter.take(socket);
    }
    expect((await splitter.drain()).map(content)).toEqual(wanted.map((part) => expected(format, part)));
  });

  it('keeps rows whole in frames, and gives one that is larger than a frame one of its own', async () => {
    const lengths = [0, 31, 32, 33, 100_000, 131_072, 50_000, 400_000, 1];
    const long = lengths.map((length): Value[] => ['x'.repeat(length), 'y']);
    const splitter = new Splitter([{ columns: 2, flag: false }], format);
    splitter.take(sent(format, long));
    const [output] = await splitter.drain();
    expect(content(output!)).toBe(expected(format, long));
    const ends = output!.frames.map((one) => one.subarray(-2).toString());
    expect(ends).toEqual(output!.frames.map(() => (format === 'text' ? 'y\n' : '\x01y')));
    expect(output!.frames.filter((one) => one.length > 131_072).length).toBe(2);
  });

  it('counts what waits, and gives it out once', async () => {
    const splitter = new Splitter(parts, format);
    expect((await splitter.drain()).map(({ rows: count }) => count)).toEqual([0, 0, 0]);
    splitter.take(sent(format, rows));
    expect(splitter.bytes).toBe(wanted.map((part) => expected(format, part)).join('').length);
    await splitter.drain();
    expect(splitter.bytes).toBe(0);
    expect((await splitter.drain()).flatMap(({ frames }) => frames)).toEqual([]);
    expect(splitter.rows).toBe(4);
  });

  it('makes nothing of no rows', async () => {
    const splitter = new Splitter(parts, format);
    splitter.take(sent(format, []));
    expect(splitter.rows).toBe(0);
    expect((await splitter.drain()).map(content)).toEqual(['', '', '']);
  });
});

it('passes over the extension of a binary header', async () => {
  const header = Buffer.concat([binaryHeader, Buffer.from('more')]);
  header.writeInt32BE(4, binaryHeader.length - 4);
  const splitter = new Splitter([{ columns: 1, flag: false }], 'binary');
  splitter.take(sent('binary', [['1'], ['2']], header));
  expect((await splitter.drain()).map(content)).toEqual([expected('binary', [['1'], ['2']])]);
});

it('puts around rows what their format begins and ends with', () => {
  expect(envelope('text')).toEqual({ before: [], after: [] });
  const { before, after } = envelope('binary');
  expect(payload(before)).toEqual(binaryHeader);
  expect(payload(after)).toEqual(Buffer.from([0xff, 0xff]));
});
