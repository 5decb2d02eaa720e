import { describe, expect, test } from 'vitest';
import { FrameReader } from '../../src/transform/decode/frame-reader.ts';
import { RowDecoder } from '../../src/transform/decode/row-decoder.ts';
import { frameOf, framesOf } from '../../src/transform/encode/frame-of.ts';
import { MisfitRow, RowEncoder } from '../../src/transform/encode/row-encoder.ts';
import type { TransformInput, TransformOutput, ValueName } from '../../src/transform/types.ts';

const input = (name: string, value: ValueName, array = false): TransformInput => ({
  name,
  expression: name,
  type: value,
  value: { name: value, array },
  nullable: true,
});

const output = (name: string, value: ValueName, array = false): TransformOutput => ({
  name,
  type: array ? `${value}[]` : value,
  value: { name: value, array },
  nullable: true,
  optional: true,
});

/** What one field is read as. */
function decoded(value: ValueName, field: string, array = false): unknown {
  const { rows } = new RowDecoder([input('x', value, array)]).push(Buffer.from(`${field}\n`));
  return rows[0]!.x;
}

/** What one value is written as. */
function encoded(value: ValueName, given: unknown, array = false): string {
  return new RowEncoder([output('x', value, array)]).encode({ x: given }).slice(0, -1);
}

function misfit(value: ValueName, given: unknown, array = false) {
  try {
    encoded(value, given, array);
  } catch (error) {
    if (error instanceof MisfitRow)
      return `${error.misfit.column}: ${error.misfit.expected} | ${error.misfit.found}`;
    throw error;
  }
  return 'none';
}

describe('values are read from the text of COPY', () => {
  test.each<[ValueName, string, unknown]>([
    ['int8', '-9223372036854775808', -9223372036854775808n],
    ['int8', '0', 0n],
    ['int8', '999999999999999', 999999999999999n],
    ['int8', '-99999999999999', -99999999999999n],
    ['int8', '-999999999999999', -999999999999999n],
    ['int8', '9007199254740993', 9007199254740993n],
    ['int8', '-9007199254740993', -9007199254740993n],
    ['int4', '-7', -7],
    ['int4', '-2147483648', -2147483648],
    ['int4', '0', 0],
    ['int2', '32767', 32767],
    ['oid', '4294967295', 4294967295],
    ['float8', 'NaN', Number.NaN],
    ['float8', '-Infinity', Number.NEGATIVE_INFINITY],
    ['float8', '-0', -0],
    ['float4', '1.5e-07', 1.5e-7],
    ['numeric', '12345678901234567890.10', '12345678901234567890.10'],
    ['bool', 't', true],
    ['bool', 'f', false],
    ['json', '{"a": [1, "x\\\\ny"]}', { a: [1, 'x\ny'] }],
    ['json', 'null', null],
    ['bytea', '\\\\x00ff5c', Uint8Array.of(0, 255, 0x5c)],
    ['bytea', '\\\\x', new Uint8Array()],
    ['bytea', `\\\\x${'ab'.repeat(128)}`, new Uint8Array(128).fill(0xab)],
    ['bytea', `\\\\x${'ab'.repeat(129)}`, new Uint8Array(129).fill(0xab)],
    ['bytea', `\\\\x${'ab'.repeat(500)}`, new Uint8Array(500).fill(0xab)],
    ['timestamptz', '2024-02-29 12:00:00.123456+00', '2024-02-29 12:00:00.123456+00'],
    ['plain', '4a1b', '4a1b'],
    ['text', '', ''],
    ['text', '\\\\N', '\\N'],
    ['text', '\\\\\\\\n\\n\\t\\r\\b\\f\\v\\\\', '\\\\n\n\t\r\b\f\v\\'],
    ['text', 'żółw 🐢', 'żółw 🐢'],
    ['text', 'é', 'é'],
    ['text', 'N', 'N'],
    ['text', '\\n', '\n'],
  ])('%s %s', (type, field, value) => {
    expect(decoded(type, field)).toStrictEqual(value);
    expect(decoded(type, '\\N')).toBe(null);
  });

  test.each<[ValueName, string, unknown]>([
    ['int4', '{}', []],
    ['int4', '{1,-2,NULL}', [1, -2, null]],
    ['int8', '{{1,2},{3,4}}', [[1n, 2n], [3n, 4n]]], // biome-ignore format: two dimensions
    ['int4', '[0:1]={7,8}', [7, 8]],
    ['float8', '{NaN,1.5,Infinity}', [Number.NaN, 1.5, Number.POSITIVE_INFINITY]],
    ['bool', '{t,f}', [true, false]],
    [
      'text',
      '{a,"","NULL",NULL,"x,y","{z}","q\\\\"u\\\\\\\\"}',
      ['a', '', 'NULL', null, 'x,y', '{z}', 'q"u\\'],
    ],
    ['text', '{"a\\tb\\nc"}', ['a\tb\nc']],
    ['json', '{"{\\\\"a\\\\": 1}","[2]"}', [{ a: 1 }, [2]]],
    ['bytea', '{"\\\\\\\\x0102"}', [Uint8Array.of(1, 2)]],
  ])('arrays: %s %s', (type, field, value) => {
    expect(decoded(type, field, true)).toStrictEqual(value);
  });

  test('cut at every byte, within characters and escapes', () => {
    const columns = [input('a', 'text'), input('b', 'json'), input('c', 'int8')];
    const text = Buffer.from('ż\\tół\t{"ä": "🐢\\\\n"}\t12\n\t\\N\t3\n\\\\N\t"\\\\u00e9"\t\\N\n');
    const rows = [
      { a: 'ż\tół', b: { ä: '🐢\n' }, c: 12n },
      { a: '', b: null, c: 3n },
      { a: '\\N', b: 'é', c: null },
    ];
    for (let cut = 0; cut <= text.length; cut++) {
      const decoder = new RowDecoder(columns);
      const parts = [text.subarray(0, cut), text.subarray(cut)].map((part) => decoder.push(part).rows);
      decoder.end();
      expect(parts.flat(), `cut at ${cut}`).toEqual(rows);
    }
    const byByte = new RowDecoder(columns);
    expect([...text].flatMap((byte) => byByte.push(Buffer.of(byte)).rows)).toEqual(rows);
  });

  test('values of each kind keep their places, whatever stands before them, and each row has its own', () => {
    const columns = [
      input('t', 'text'),
      input('i', 'int4'),
      input('o', 'bool'),
      input('b', 'bytea'),
      input('n', 'int8'),
      input('f', 'float8'),
      input('a', 'int4', true),
    ];
    const line = (t: string) => `${t}\t-12\tt\t\\\\x0aff\t-7\t1.5\t{1,2}\n\\N\t3\tf\t\\N\t8\t-0\t\\N\n`;
    for (const t of ['', 'abc', 'é', '€', '🐢']) {
      const { rows } = new RowDecoder(columns).push(Buffer.from(line(t)));
      const first = { t, i: -12, o: true, b: Uint8Array.of(10, 255), n: -7n, f: 1.5, a: [1, 2] };
      expect(rows).toStrictEqual([first, { t: null, i: 3, o: false, b: null, n: 8n, f: -0, a: null }]);
    }
  });

  test('columns before the row are kept as text and not given to it', () => {
    const decoder = new RowDecoder([input('a', 'int4')], 2);
    expect(decoder.push(Buffer.from('(0,1)\tk\\\\1\t7\n(0,2)\t\\N\t8\n'))).toEqual({
      rows: [{ a: 7 }, { a: 8 }],
      keys: [
        ['(0,1)', 'k\\1'],
        ['(0,2)', null],
      ],
    });
  });

  test('what is not whole, not UTF-8 or of another width is no row', () => {
    const decoder = new RowDecoder([input('a', 'text')]);
    decoder.push(Buffer.from('abc'));
    expect(() => decoder.end()).toThrow('within a row');
    expect(() => new RowDecoder([input('a', 'text')]).push(Buffer.of(0xe9, 0x0a))).toThrow('not UTF-8');
    const two = [input('a', 'text'), input('b', 'text')];
    expect(() => new RowDecoder(two).push(Buffer.from('a\tb\nc\n'))).toThrow('another width');
    expect(() => new RowDecoder([input('a', 'text')]).push(Buffer.from('a\tb\n'))).toThrow(
      '2 columns instead of 1',
    );
  });
});

describe('values are written as the text of COPY', () => {
  test.each<[ValueName, unknown, string]>([
    ['int8', -9223372036854775808n, '-9223372036854775808'],
    ['int8', 9007199254740991, '9007199254740991'],
    ['int4', 5n, '5'],
    ['int2', -0, '0'],
    ['oid', 4294967295, '4294967295'],
    ['float8', -0, '-0'],
    ['float8', Number.NaN, 'NaN'],
    ['float4', Number.NEGATIVE_INFINITY, '-Infinity'],
    ['numeric', '1.10', '1.10'],
    ['numeric', 12345678901234567890n, '12345678901234567890'],
    ['bool', false, 'f'],
    ['json', { a: ['x\ny\\'] }, '{"a":["x\\\\ny\\\\\\\\"]}'],
    ['json', 'text', '"text"'],
    ['json', { 'ż"\t': 'a\nb\rc\\' }, '{"ż\\\\"\\\\t":"a\\\\nb\\\\rc\\\\\\\\"}'],
    ['json', 0, '0'],
    ['bytea', Uint8Array.of(0, 255), '\\\\x00ff'],
    ['bytea', new Uint8Array(), '\\\\x'],
    ['bytea', new Uint8Array(64).fill(0xc5), `\\\\x${'c5'.repeat(64)}`],
    ['bytea', new Uint8Array(65).fill(0xc5), `\\\\x${'c5'.repeat(65)}`],
    ['bytea', Buffer.from('abc').subarray(1), '\\\\x6263'],
    ['timestamptz', new Date(Date.UTC(2024, 1, 29)), '2024-02-29T00:00:00.000Z'],
    ['timestamptz', 'now\t', 'now\\t'],
    ['text', 'a\\b\nc\td\re\b', 'a\\\\b\\nc\\td\\re\b'],
    ['text', '\\N', '\\\\N'],
    ['text', '', ''],
    ['text', 'a\vb\fc', 'a\vb\fc'],
    ['text', 'żółw\t🐢', 'żółw\\t🐢'],
    ['numeric', '1\n2', '1\\n2'],
    ['plain', 'a\tb', 'a\\tb'],
    ['plain', null, '\\N'],
  ])('%s %#', (type, value, field) => {
    expect(encoded(type, value)).toBe(field);
  });

  test.each<[ValueName, unknown, string]>([
    ['int4', [], '{}'],
    ['int4', [1, null, 3n], '{1,NULL,3}'],
    ['int4', [[1, 2], [3, 4]], '{{1,2},{3,4}}'], // biome-ignore format: two dimensions
    ['text', ['', 'NULL', 'a"b', '\\', 'x,y\n'], '{"","NULL","a\\\\"b","\\\\\\\\","x,y\\n"}'],
    ['json', [[1], { a: '"' }], '{"[1]","{\\\\"a\\\\":\\\\"\\\\\\\\\\\\"\\\\"}"}'],
    ['bytea', [Uint8Array.of(1)], '{"\\\\\\\\x01"}'],
    ['bool', [true, false], '{t,f}'],
  ])('arrays: %s %#', (type, value, field) => {
    expect(encoded(type, value, true)).toBe(field);
  });

  test.each<[ValueName, unknown, string, boolean?]>([
    [
      'int4',
      2147483648,
      'x: a whole number (number or bigint) from -2147483648 to 2147483647 for int4 | a number out of',
    ],
    ['int2', -32769n, 'a bigint out of that range'],
    ['int8', 2 ** 53, 'a number out of that range, or beyond 2^53'],
    ['int4', Number.NaN, '| NaN'],
    ['int4', 1.5, '| a number with a fraction'],
    ['int4', 'secret', '| a string'],
    ['float8', '1', 'a number for float8 | a string'],
    ['numeric', 1.5, 'a string (or bigint) for numeric | a number with a fraction'],
    ['bool', 't', 'a boolean for bool | a string'],
    ['bytea', 'abc', 'a Uint8Array for bytea | a string'],
    ['json', 1n, '| a bigint that JSON cannot hold'],
    ['json', () => 1, '| a function'],
    ['json', Number.NaN, '| NaN'],
    ['text', 7, 'a string for text | a whole number'],
    ['text', new Date(0), '| a Date'],
    ['text', 'a\ud83d', '| half of a surrogate pair'],
    ['timestamptz', new Date(Number.NaN), '| an invalid Date'],
    ['timestamptz', new Date('+010000-01-01'), '| a Date of another year'],
    ['plain', new Date(0), 'a string for plain | a Date'],
    ['text', Promise.resolve(), '| a promise'],
    ['int4', 7, 'an array for int4[] | a whole number', true],
    ['int4', ['7'], '| a string', true],
    ['text', [undefined], '| undefined', true],
  ])('%s refuses %#', (type, value, expected, array) => {
    const found = misfit(type, value, array);
    expect(found).toContain(expected);
    expect(found).not.toContain('secret');
  });
});

describe('a returned row', () => {
  const encoder = new RowEncoder([
    { ...output('id', 'int4'), nullable: false, optional: false },
    { ...output('made', 'timestamptz'), optional: false },
    output('note', 'text'),
  ]);
  const misfitOf = (row: unknown) => {
    try {
      return encoder.encode(row);
    } catch (error) {
      const { column, expected, found, hint } = (error as MisfitRow).misfit;
      return `${column}: ${expected} | ${found} | ${hint}`;
    }
  };

  test('is a line in the order of the columns, NULL where nothing is meant', () => {
    expect(misfitOf({ note: 'x', id: 1, made: null })).toBe('1\t\\N\tx\n');
    expect(misfitOf({ id: 1, made: null })).toBe('1\t\\N\t\\N\n');
    expect(misfitOf({ id: 1, made: null, note: undefined })).toBe('1\t\\N\t\\N\n');
  });

  test.each([
    [
      { id: 1, made: null, nota: 'secret' },
      'nota: only columns that the function fills | a string | Did you mean note?',
    ],
    [{ id: 1, made: null, other: undefined }, 'other: only columns'],
    [
      { made: null },
      'id: a value for int4, which is NOT NULL | nothing | Return it, or list under transform.returns',
    ],
    [{ id: null, made: null }, 'id: a value for int4, which is NOT NULL | null'],
    [{ id: 1 }, 'made: a value for timestamptz, or null | nothing'],
    ['secret', 'undefined: a row (an object) | a string'],
    [null, 'a row (an object) | null'],
    [[], 'a row (an object) | an array'],
  ])('%# is told what is wrong with it', (row, expected) => {
    expect(misfitOf(row)).toContain(expected);
    expect(misfitOf(row)).not.toContain('secret');
  });

  test('without a key is no row, even where all may be left out', () => {
    expect(() => new RowEncoder([output('x', 'text')]).encode({})).toThrow('an object without a key');
  });
});

// What code is generated for.
const hostileNames = [
  '__proto__',
  'constructor',
  'toString',
  '0',
  'a"b',
  'a\\',
  "'",
  '`${1}`',
  '\n\u2028',
  ']: 0}); process.exit(1); ({[',
  'żółw 🐢',
];

describe('names of columns are only names', () => {
  test('a row has each as a key of its own', () => {
    const decoder = new RowDecoder(hostileNames.map((name) => input(name, 'text')));
    const { rows } = decoder.push(Buffer.from(`${hostileNames.map((_, i) => `v${i}`).join('\t')}\n`));
    expect(Object.getPrototypeOf(rows[0])).toBe(Object.prototype);
    const expected = new Map(hostileNames.map((name, i) => [name, `v${i}`]));
    expect(new Map(Object.entries(rows[0]!))).toEqual(expected);
  });

  test('a returned row is asked for each, and what every object has is not meant', () => {
    const encoder = new RowEncoder(hostileNames.map((name) => output(name, 'text')));
    const entries = hostileNames.map((name, i) => [name, `v${i}`]);
    expect(encoder.encode(Object.fromEntries(entries))).toBe(
      `${entries.map(([, value]) => value).join('\t')}\n`,
    );
    expect(encoder.encode({ 0: 'x' })).toBe(`\\N\t\\N\t\\N\tx${'\t\\N'.repeat(7)}\n`);
    expect(encoder.encode(Object.assign(Object.create(null), { toString: 'y' }))).toContain('\ty\t');
  });

  test('an object of a class is a row by what its class reads', () => {
    class Made {
      get x() {
        return 'read';
      }
      y = 1;
    }
    expect(new RowEncoder([output('x', 'text'), output('y', 'int4')]).encode(new Made())).toBe('read\t1\n');
  });
});

test('frames are unwrapped wherever they are cut, and wrapped again', () => {
  const frames = Buffer.concat([frameOf('abc\n'), frameOf(''), frameOf('żółw\n')]);
  for (let cut = 0; cut <= frames.length; cut++) {
    const reader = new FrameReader();
    const parts = [frames.subarray(0, cut), frames.subarray(cut)].map((part) =>
      Buffer.from(reader.push(part)),
    );
    expect(Buffer.concat(parts).toString(), `cut at ${cut}`).toBe('abc\nżółw\n');
  }
});

test('what is more than a server takes at once goes in several frames', () => {
  for (const content of ['abcdefghij', Buffer.from('.....abcdefghij')]) {
    const frames = framesOf(content, 9);
    expect(frames.map(({ length }) => length)).toEqual([9, 9, 7]);
    expect(new FrameReader().push(Buffer.concat(frames)).toString()).toBe('abcdefghij');
  }
  expect(framesOf('abcd', 9)).toEqual([frameOf('abcd')]);
});

test('rows longer than what comes at once are put together, though the reader uses its room again', () => {
  const rows = ['a'.repeat(1000), 'short', 'b'.repeat(3000), ''];
  const frames = Buffer.concat(rows.map((row) => frameOf(`${row}\n`)));
  const given = Buffer.from(frames);
  const reader = new FrameReader();
  const decoder = new RowDecoder([input('x', 'text')]);
  const read: unknown[] = [];
  for (let at = 0; at < frames.length; at += 100)
    read.push(...decoder.push(reader.push(frames.subarray(at, at + 100))).rows.map(({ x }) => x));
  decoder.end();
  expect(read).toEqual(rows);
  expect(frames.equals(given)).toBe(true);
});
