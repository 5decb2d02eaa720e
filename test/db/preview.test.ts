import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { palette } from '../../ops/cli/render/color.ts';
import { renderSample } from '../../ops/cli/render/sample.ts';
import { widthOf } from '../../ops/cli/render/text.ts';
import { type Preview, previewRun } from '../../src/control/preview/preview.ts';
import type { FlowSample } from '../../src/control/preview/sample/types.ts';
import { inTransaction } from '../../src/pg/transaction.ts';
import { parsePlan } from '../../src/plan/read/parse.ts';
import { resolvePlan } from '../../src/plan/resolve/resolve.ts';
import { planText, resolveGood } from '../plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

// Row n is refused by what its name says; 1 and 2 are in order.
const sourceSql = `
  create table item (id int primary key, name text, price numeric, mood text, tag text, amount int, country text, divisor int);
  insert into item values (1, 'fine', 1.5, 'good', 'ab', 1, 'AT', 1), (2, E'two\\nlines \\x1b[31m', null, 'bad', null, 2, null, 1),
    (3, 'much too long a name', 1, 'good', 'ab', 1, 'AT', 1), (4, 'price', 123456, 'good', 'ab', 1, 'AT', 1),
    (5, 'mood', 1, 'ugly', 'abcdef', 1, 'AT', 1), (6, null, 1, 'good', 'ab', 1, 'AT', 1),
    (7, 'amount', 1, 'good', 'ab', -1, 'AT', 1), (8, 'country', 1, 'good', 'ab', 1, 'XX', 1), (9, 'divisor', 1, 'good', 'ab', 1, 'AT', 0),
    (10, 'held', 1, 'good', 'ab', 1, 'AT', 1), (11, 'odd', 1, 'good', 'ab', 1, 'AT', 1);
  create table line (item int, part int, at date);
  create index on line (item);
  insert into line select 1 + n % 3, n, date '2024-01-01' + n from generate_series(1, 12) n;
  create view items as select * from item;`;

const targetSql = `
  create type mood as enum ('good', 'bad');
  create domain short as text check (length(value) < 4);
  create table country (code text primary key, id int not null);
  insert into country values ('AT', 43);
  create table item (id int primary key, name varchar(16) not null, price numeric(6, 2), mood mood, tag short, amount int constraint positive check (amount > 0),
    country int, share int not null, made timestamptz default now());
  insert into item values (10, 'there', 1, 'good', 'x', 1, 43, 1);
  create table line (item int, part int, nth bigint, last date);
  create table total (item int primary key, parts int);
  create table copied (id int, name text)`;

const body = `
migration: {batch_size: 2}
allow_non_empty: true
flows:
  - name: items
    from: item i
    where: i.id <> 11
    to: item
    columns:
      id: i.id
      name: i.name
      price: i.price
      mood: i.mood
      tag: i.tag
      amount: i.amount
      country: {lookup: country, by: {code: i.country}, take: id}
      share: 100 / i.divisor
  - name: lines
    from: line l
    window_by: l.item
    to: line
    columns: {item: l.item, part: l.part, nth: row_number() over (partition by l.item order by l.part), last: l.at}
  - name: totals
    from: line l
    group_by: l.item
    to: total
    columns: {item: l.item, parts: count(*)}
  - name: viewed
    from: items v
    to: copied
    columns: {id: v.id, name: v.name}`;

const refusalsOf = ({ rows }: FlowSample): string[] =>
  rows.flatMap(({ before, outputs }) => {
    const id = before.find(({ column }) => column === 'id')?.value;
    const refusals = outputs.flatMap((output) => [
      ...output.refusals,
      ...output.rows.flatMap((row) => row.refusals),
    ]);
    return refusals.map(
      ({ side, code, column, constraint, hint }) =>
        `${id} ${side} ${code} ${column ?? constraint}${hint ? ' perhaps' : ''}`,
    );
  });

/** Rows as the target would get them, on a line each. */
const afterOf = ({ rows }: FlowSample): string[] =>
  rows.flatMap(({ outputs }) =>
    outputs.flatMap((output) =>
      output.rows.map(({ values }) => values.map(({ value, pending }) => pending ?? value).join(' ')),
    ),
  );

describe.each([
  [14, 14],
  [15, 18],
] as const)('from PostgreSQL %i to %i', (from, to) => {
  let source: TestDatabase;
  let target: TestDatabase;
  let preview: Preview;
  const sampleOf = (flow: string) => preview.samples.find((each) => each.flow === flow)!;

  beforeAll(async () => {
    [source, target] = [await createDatabase(from), await createDatabase(to)];
    await source.exec(sourceSql);
    await target.exec(targetSql);
    const plan = await resolveGood(source, target, body);
    const [s, t] = [await source.open(), await target.open()];
    preview = await inTransaction(t, 'read committed, read only', () =>
      previewRun(plan, s, t, { sample: 20, folder: import.meta.dirname }),
    );
  });

  afterAll(() => Promise.all([source.drop(), target.drop()]));

  test('names the rows of the sample that would be refused, the column, and why', () => {
    expect(refusalsOf(sampleOf('items'))).toEqual([
      '3 target 22001 name',
      '4 target 22003 price',
      '5 target 22P02 mood',
      '5 target 23514 tag',
      '6 target 23502 name',
      '7 target 23514 positive',
      '8 target LOOKUP_MISSED country',
      '9 source 22012 share',
      '10 target 23505 item_pkey perhaps',
    ]);
    expect(sampleOf('items').remarks).toEqual([]);
  });

  test('shows each row before and after, also one that is left out', () => {
    const { rows } = sampleOf('items');
    expect(rows[0]!.before.map(({ column }) => column)).toContain('divisor');
    expect(afterOf(sampleOf('items'))[0]).toBe('1 fine 1.50 good ab 1 43 100');
    expect(rows[10]!.outputs[0]).toMatchObject({ rows: [], none: 'left out by where' });
    expect(afterOf(sampleOf('viewed'))[0]).toBe('1 fine');
  });

  test('shows windows and groups over the whole of their group', () => {
    expect(afterOf(sampleOf('lines')).toSorted()).toContain('1 9 3 2024-01-10');
    expect(afterOf(sampleOf('totals')).toSorted()).toEqual(['1 4', '2 4', '3 4']);
  });

  test('fits in 80 columns, without anything that a terminal obeys', () => {
    const lines = preview.samples.flatMap((sample) => renderSample(sample, palette(false)));
    expect(lines.filter((line) => widthOf(line) > 80)).toEqual([]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none.
    expect(lines.join('')).not.toMatch(/[\u0000-\u001f]/);
    expect(lines.join()).toContain(`'two⏎lines \\u001b`);
  });
});

test('calls transforms: rows, none, and why one is refused', async () => {
  const [source, target] = [await createDatabase(18), await createDatabase(18)];
  try {
    await source.exec(`create table mail (id int primary key, "to" text);
      insert into mail values (1, E'a\\tb,c'), (2, ''), (3, 'boom'), (4, 'much too long')`);
    await target.exec('create table part (mail int, name varchar(4))');
    const folder = mkdtempSync(join(tmpdir(), 'rowfleet-preview-'));
    writeFileSync(
      join(folder, 'split.ts'),
      `export default ({ id, names }: { id: number; names: string }) => {
         if (names === 'boom') throw new RangeError('no ' + names);
         return names.split(',').filter(Boolean).map((name) => ({ mail: id, name }));
       };`,
    );
    const text = planText(
      'flows: [{name: parts, from: mail m, to: part, transform: split.ts, columns: {id: m.id, names: m."to"}}]',
    );
    const [s, t] = [await source.open(), await target.open()];
    const { resolved } = await resolvePlan(parsePlan(text, join(folder, 'plan.yaml')).plan!, s, t);
    const { samples, actions } = await inTransaction(t, 'read committed, read only', () =>
      previewRun(resolved!, s, t, { sample: 9, folder }),
    );
    const copy = 'copy "public"."part" ("mail", "name") from stdin';
    expect(actions.flows).toMatchObject([
      {
        ...{ transform: 'split.ts', format: 'text' },
        outputs: [
          {
            statements: [
              `${copy} (format binary)`,
              `${copy} (format text) /* from a row on that only text tells */`,
            ],
          },
        ],
      },
    ]);
    expect(afterOf(samples[0]!)).toEqual(['1 a\tb', '1 c', '4 much too long']);
    expect(samples[0]!.rows[1]!.outputs[0]!.none).toBe('its transform returns none');
    expect(refusalsOf(samples[0]!)).toEqual(['3 transform TRANSFORM_THREW undefined', '4 target 22001 name']);
    expect(samples[0]!.rows[2]!.outputs[0]!.refusals[0]!.message).toMatch(
      /threw RangeError at split\.ts:2:\d+: no boom$/,
    );
  } finally {
    await Promise.all([source.drop(), target.drop()]);
  }
});

test('what an in-place backfill reads is measured like any other flow', async () => {
  const database = await createDatabase(18);
  try {
    await database.exec(`create table t (id int primary key, a text, b text);
      insert into t select n, 'a' || n from generate_series(1, 5000) n; analyze t`);
    const plan = await resolveGood(
      database,
      database,
      'flows: [{name: f, from: t t, to: t, columns: {b: upper(t.a)}}]',
    );
    const [s, t] = [await database.open(), await database.open()];
    const { forecast } = await inTransaction(t, 'read committed, read only', () =>
      previewRun(plan, s, t, { sample: 0, folder: '.' }),
    );
    expect(forecast.flows[0]).toMatchObject({ seconds: expect.any(Number), reading: { kind: 'measured' } });
    expect(forecast.flows[0]!.rows).toBe(5000);
  } finally {
    await database.drop();
  }
});
