import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readTypes } from '../../src/catalog/data-types.ts';
import { safeMessage } from '../../src/pg/errors.ts';
import { TransformBatch } from '../../src/transform/batch.ts';
import { openTransform } from '../../src/transform/transform.ts';
import type { TransformOutput } from '../../src/transform/types.ts';
import { valueTypeOf } from '../../src/transform/value-type.ts';
import { relay, tryRelay } from '../../src/wire/relay.ts';
import type { OpenStage } from '../../src/wire/relay-types.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

/** What a transform returns comes to the same in both formats of COPY, on a real server. */

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase(18);
  await database.exec(`create type mood as enum ('sad', 'glad and more');
    create domain short as varchar(5) check (value <> 'bad')`);
});

afterAll(() => database.drop());

/** The value of each output column of a table, of the types of its columns. */
async function outputsOf(table: string): Promise<TransformOutput[]> {
  const session = await database.open();
  const types = await readTypes(session);
  const { rows } = await session.query(
    `select attname::text as name, atttypid::int8::float8 as oid from pg_attribute
      where attrelid = $1::regclass and attnum > 0 order by attnum`,
    [table],
  );
  return rows.map(({ name, oid }) => ({
    ...{ name, type: name, value: valueTypeOf(types, oid), nullable: true, optional: true },
  }));
}

let tables = 0;

/** A new table with a column of values, and what copies those into it through a function. */
async function tableFor(type: string, values: unknown[], binary: boolean) {
  const table = `public.made_${++tables}`;
  await database.exec(`create table ${table} (id int, x ${type})`);
  const input = { name: 'id', expression: 'id', type: 'integer', nullable: false };
  const plan = {
    ...{ file: 'a.ts', export: 'default', hash: '', output: await outputsOf(table) },
    input: [{ ...input, value: { name: 'int4', array: false } as const }],
  };
  const call = ({ id }: { id: number }) => ({ id, x: values[id] });
  const loaded = { call: call as never, hash: '', framesOf: () => [] };
  const transform = openTransform('made', plan, loaded, async () => null);
  const { signal } = new AbortController();
  const formats: string[] = [];
  const through: OpenStage = (write, mayBeBinary) =>
    new TransformBatch(transform, {
      signal,
      binary: mayBeBinary,
      write: (frame, format) => {
        formats.push(format);
        return write(frame, format);
      },
    });
  const into = (format: string) => `copy ${table} from stdin (format ${format})`;
  const statements = { statement: into('text'), ...(binary ? { binary: into('binary') } : {}) };
  const [reader, writer] = [await database.open(), await database.open()];
  const from = `copy (select generate_series(0, ${values.length - 1})) to stdout`;
  const sides = [
    { session: reader, statement: from },
    { session: writer, ...statements },
    { signal, through },
  ] as const;
  return { table, transform, formats, reader, writer, sides };
}

/** Loads a column of values of a type, and gives what stands there, and the formats that were written. */
async function load(type: string, values: unknown[], binary: boolean) {
  const { table, transform, formats, reader, sides } = await tableFor(type, values, binary);
  const tally = await relay(...sides);
  expect(tally).toMatchObject({ rowsOut: values.length, rowsIn: values.length });
  const { rows } = await reader.query(`select x::text from ${table} order by id`);
  return { table, texts: rows.map(({ x }) => x), formats, onlyText: transform.onlyText };
}

/** Rows of two tables that are not the same to the last byte. */
async function differing(one: string, other: string): Promise<unknown[]> {
  const { rows } = await database.query(
    `select a.x::text, b.x::text from ${one} a full join ${other} b using (id) where pg_catalog.record_image_ne(row(a.x), row(b.x))`,
  );
  return rows;
}

const dates = [new Date(0), new Date('2024-02-29T12:34:56.789Z'), new Date('1969-12-31T23:59:59.001Z')];

describe('in binary as in text', () => {
  test.each<[string, unknown[]]>([
    ['int8', [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 0, -1, 7, -(2 ** 40), 2 ** 53 - 1, 1 - 2 ** 53]],
    ['int4', [0, -1, 1n, 2 ** 31 - 1, -(2 ** 31), -0]],
    ['int2', [0, -1, 1n, 32767, -32768]],
    ['oid', [0, 1n, 2 ** 32 - 1]],
    [
      'float8',
      [Math.sqrt(-1), 0, -0, 0.1, -1e-300, 1e300, 5e-324, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53],
    ],
    ['bool', [true, false]],
    ['bytea', [new Uint8Array(), new Uint8Array([0, 92, 255]), Buffer.alloc(70_000, 7)]],
    [
      'text',
      ['', 'a', '\\N', 'tab\tline\n\\', 'ä'.repeat(30), 'aä', '€'.repeat(20_000), 'x'.repeat(200_000)],
    ],
    ['varchar(3)', ['abc', 'abc   ']],
    ['char(4)', ['a', 'ab  ']],
    ['mood', ['sad', 'glad and more']],
    ['short', ['good', 'ü']],
    ['json', [{ a: [1, null, 'ä"\\\n'] }, 'text', 0, false, []]],
    ['jsonb', [{ a: [1, null, 'ä"\\\n'] }, 'text', 0, false, [], { long: 'x'.repeat(100_000) }]],
    [
      'uuid',
      [
        '4a1b0000-0000-4000-8000-00000000ffff',
        '00000000-0000-0000-0000-000000000000',
        'AAAAAAAA-bBbB-0123-4567-89abcdefABCD',
      ],
    ],
    [
      'numeric',
      [
        '0',
        '-0',
        '1',
        '-1',
        '10000',
        '9999',
        '0.1',
        '0.00001',
        '-12345.678900',
        '00012',
        '+7',
        10n ** 40n,
        -(10n ** 8n),
        '1.50',
        `${'9'.repeat(400)}.${'8'.repeat(301)}`,
      ],
    ],
    ['numeric(8, 2)', ['1.005', '-1.005', '123456.784', '0.004', 7n]],
    [
      'timestamptz',
      [
        ...dates,
        '2024-02-29 12:34:56+00',
        '2024-02-29T12:34:56.123456Z',
        '1999-12-31 23:59:59.9-12:30',
        '0001-01-01 00:00:00+00',
        '9999-12-31 23:59:59.999999+00',
        '1714-01-01 00:00:00.000001+00',
        '2000-01-01 00:00:00+00',
        '1900-03-01 00:00:00.1+14',
      ],
    ],
    ['timestamptz(0)', ['2024-02-29 12:34:56.5+00', '2024-02-29 12:34:57.5+00']],
    ['timestamp', ['2024-02-29 12:34:56', '1582-10-10T00:00:00.000001', '9999-12-31 23:59:59.999999']],
    [
      'date',
      ['2000-01-01', '2024-02-29', '1999-12-31', '0001-01-01', '9999-12-31', '1600-02-29', '1900-02-28'],
    ],
  ])('%s', async (type, some) => {
    const values = [...some, null, undefined];
    const [binary, text] = [await load(type, values, true), await load(type, values, false)];
    expect(binary.texts).toEqual(text.texts);
    expect(await differing(binary.table, text.table)).toEqual([]);
    expect(binary.texts.slice(-2)).toEqual([null, null]);
    expect(new Set(binary.formats)).toEqual(new Set(['binary']));
    expect(binary.onlyText).toBeUndefined();
    expect(new Set(text.formats)).toEqual(new Set(['text']));
  });

  test('each day of 800 years', async () => {
    const days = Array.from({ length: 292_194 }, (_, i) => new Date(Date.UTC(1600, 0, 1 + i)));
    const values = days.map((day) => day.toISOString().slice(0, 10));
    const { texts, formats } = await load('date', values, true);
    expect(texts).toEqual(values);
    expect(new Set(formats)).toEqual(new Set(['binary']));
  });
});

describe('what only the server knows is text, with all that comes behind it', () => {
  test.each<[string, unknown, unknown]>([
    ['timestamptz', '2024-01-01 00:00:00+00', 'infinity'],
    ['timestamptz', '2024-01-01 00:00:00+00', '2024-01-01 12:00'],
    ['timestamptz', '2024-01-01 00:00:00+00', '0044-03-15 00:00:00+00 BC'],
    ['timestamptz', '2024-01-01 00:00:00+00', '2024-01-01 24:00:00+00'],
    ['timestamptz', '2024-01-01 00:00:00+00', '2024-01-01 00:00:00.1234567+00'],
    ['timestamptz', '2024-01-01 00:00:00+00', '2024-01-01 00:00:00+00:00:30'],
    ['timestamptz', '2024-01-01 00:00:00+00', '2024-01-01 00:00:00 Europe/Berlin'],
    ['timestamp', '2024-01-01 00:00:00', '2024-01-01 00:00:00+01'],
    ['date', '2024-01-01', '1 January 2024'],
    ['uuid', '4a1b0000-0000-4000-8000-00000000ffff', '{4a1b0000-0000-4000-8000-00000000fff0}'],
    ['numeric', '1', '1e3'],
    ['numeric', '1', 'NaN'],
    ['numeric', '1', '.5'],
  ])('%s: %s, then %s', async (type, known, other) => {
    const values = [known, null, other, known];
    const [both, text] = [await load(type, values, true), await load(type, values, false)];
    expect(both.texts).toEqual(text.texts);
    expect(both.formats).toEqual(['binary', 'text']);
    expect(both.onlyText).toBe(true);
  });

  test.each([['2023-02-29'], ['2024-13-01'], ['2024-00-01'], ['2024-01-00'], ['1900-02-29'], ['0000-01-01']])(
    'a day that is none is the server’s to refuse: %s',
    async (day) => {
      await expect(load('date', ['2024-01-01', day], true)).rejects.toThrow(/date/);
    },
  );

  test.each([
    ['real', 0.1],
    ['text[]', ['a']],
    ['inet', '10.0.0.1'],
    ['interval', '1 day'],
    ['int4range', '[1,2)'],
  ])('a column of %s makes all of it text', async (type, value) => {
    const { formats } = await load(type, [value, value], true);
    expect(formats).toEqual(['text']);
  });
});

const place = 'table made, column x, line 2 of the batch';

test.each<[string, unknown, string]>([
  ['varchar(3)', 'abcd', `string too long for its type (SQLSTATE 22001): ${place}`],
  ['char(4)', 'abcde', `string too long for its type (SQLSTATE 22001): ${place}`],
  ['mood', 'angry', `invalid text representation (SQLSTATE 22P02): ${place}`],
  ['numeric(8, 2)', '1234567', `number out of range (SQLSTATE 22003): ${place}`],
  ['short', 'bad', `check violation (SQLSTATE 23514): ${place}, type short, constraint short_check`],
  ['jsonb', { a: 'nul\0' }, 'untranslatable character (SQLSTATE 22P05)'],
])('a value that a %s refuses is told in the same words in both formats', async (type, value, expected) => {
  for (const binary of [true, false]) {
    const error = await load(type, [null, value], binary).catch((thrown) => thrown);
    expect(safeMessage(error).replace(/(public\.)?made_\d+/, 'made')).toBe(expected);
  }
});

test('a text with NUL is refused in both formats; by its column in binary', async () => {
  for (const [binary, where] of [
    [true, place],
    [false, 'table made, line 2 of the batch'],
  ] as const) {
    const error = await load('text', [null, 'nul\0'], binary).catch((thrown) => thrown);
    expect(safeMessage(error).replace(/(public\.)?made_\d+/, 'made')).toBe(
      `character not in the encoding’s repertoire (SQLSTATE 22021): ${where}`,
    );
  }
});

describe('what fails behind a value that only text tells', () => {
  const noFebruary = `date check (x <> '2024-02-02')`;
  const days = ['2024-01-01', 'infinity', '2024-02-02'];

  test('is told by its line of the batch, and ends both sessions', async () => {
    const { sides, reader, writer } = await tableFor(noFebruary, days, true);
    for (const session of [reader, writer]) session.on('error', () => {});
    const error = await relay(...sides).catch((thrown) => thrown);
    expect(safeMessage(error)).toMatch(/^check violation .*, line 3 of the batch/);
    for (const session of [reader, writer]) await expect(session.query('select 1')).rejects.toThrow();
  });

  test.each([
    ['in the second COPY', noFebruary, days, '23514'],
    ['at the end of the first', 'date references day', ['2024-01-02', 'infinity'], '23503'],
  ])('leaves both sessions to go on with where that is asked for: %s', async (_, type, values, code) => {
    await database.exec(`create table if not exists day (day date primary key)`);
    const { table, sides, reader, writer, formats } = await tableFor(type, values, true);
    for (const session of [reader, writer]) await session.query('begin; savepoint before');
    expect(await tryRelay(...sides)).toMatchObject({ kind: 'refused', side: 'target', error: { code } });
    for (const session of [reader, writer]) await session.query('rollback to savepoint before; commit');
    expect(formats).toEqual(['binary', 'text']);
    expect((await writer.query(`select count(*)::int as n from ${table}`)).rows).toEqual([{ n: 0 }]);
  });
});
