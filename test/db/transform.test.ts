import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { qualified } from '../../src/pg/quote.ts';
import { type DescribedTransform, describeTransforms } from '../../src/plan/resolve/describe-transforms.ts';
import { TransformBatch } from '../../src/transform/batch.ts';
import { openTransform } from '../../src/transform/transform.ts';
import type { InputRow } from '../../src/transform/types.ts';
import { CopyIn } from '../../src/wire/copy-in.ts';
import { CopyOut } from '../../src/wire/copy-out.ts';
import { brief, goodPlan } from '../plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';
import { typeZoo, zooRows, zooTable, zooTypes } from '../type-zoo.ts';

let source: TestDatabase;
let target: TestDatabase;

beforeAll(async () => {
  [source, target] = [await createDatabase(15), await createDatabase(18)];
  for (const database of [source, target]) {
    await database.exec(zooTypes("'sad', 'ok'"));
    await database.exec(zooTable);
  }
  await source.exec(`
    create domain shoe as int check (value > 0);
    create table people (id bigint primary key, name text not null, age int, tags text[], fits shoe, moods mood[],
      boxes box[], doc jsonb not null, seen timestamptz);`);
  await target.exec(`
    create domain named as text not null;
    create table persons (id uuid primary key, name named, made timestamptz default now(), note text, n int generated always as (1) stored,
      seq int generated always as identity, docs jsonb[])`);
  const names = Object.keys(typeZoo).map((_, i) => `c${i}`);
  for (const row of zooRows()) {
    const places = row.map((_, i) => `$${i + 1}`).join(', ');
    await source.query(`insert into zoo (id, ${names.join(', ')}) values (${places})`, row);
  }
});

afterAll(async () => {
  await source.drop();
  await target.drop();
});

/** Describes the transforms of a plan's flows; problems in words. */
async function describeBody(body: string): Promise<{ flows?: DescribedTransform[]; problems: string[] }> {
  const { resolved, problems } = await describeTransforms(
    goodPlan(body),
    await source.open(),
    await target.open(),
  );
  return { ...(resolved && { flows: resolved }), problems: problems.map(brief) };
}

const people = (transform: string, columns = 'id: p.id') => `
flows:
  - name: people
    from: people p
    join: left join people q on q.id = p.id
    to: persons
    transform: ${transform}
    columns: {${columns}}
`;

describe('what a transform takes and fills is read from both databases', () => {
  test('types as JavaScript has them, and where NULL may be', async () => {
    const columns =
      'id: p.id, name: p.name, other: q.name, up: upper(p.name), tags: p.tags, fits: p.fits, moods: p.moods, boxes: p.boxes, doc: p.doc, lit: "\'x\'"';
    const { flows, problems } = await describeBody(people('t.ts', columns));
    expect(problems).toEqual([]);
    const short = ({ name, value, nullable }: DescribedTransform['input'][number]) =>
      `${name} ${value.name}${value.array ? '[]' : ''}${nullable ? '' : ' not null'}`;
    expect(flows![0]!.input.map(short)).toEqual([
      'id int8 not null',
      'name text not null',
      'other text',
      'up text',
      'tags text[]',
      'fits int4',
      'moods text[]',
      'boxes other',
      'doc jsonb not null',
      'lit text',
    ]);
    const output = flows![0]!.output.map(
      ({ optional, ...column }) => `${short({ ...column, expression: '' })}${optional ? ' optional' : ''}`,
    );
    expect(output).toEqual([
      'id uuid not null',
      'name text not null',
      'made timestamptz',
      'note text optional',
      'seq int4 not null',
      'docs jsonb[] optional',
    ]);
  });

  test.each([
    ['{file: t.ts, returns: [id, name]}', 'id: p.id', []],
    [
      '{file: t.ts, returns: [id, nam]}',
      'id: p.id',
      [
        /NOT NULL and gets no value/,
        /flows\[0\]\.transform\.returns\[1\] error: public.persons has no column nam in the target \| Did you mean name\?/,
      ],
    ],
    [
      '{file: t.ts, returns: [id, id, name]}',
      'id: p.id',
      [/returns\[1\] error: id stands in the list twice/],
    ],
    ['{file: t.ts, returns: [id, name, n]}', 'id: p.id', [/n is a generated column/]],
    ['t.ts', 'id: {id_map: x, key: p.id}', [/columns\.id error: columns are the input of the transform/]],
    ['t.ts', 'id: p.idd', [/PostgreSQL says: column p.idd does not exist/]],
  ])('%s with %s', async (transform, columns, expected) => {
    // biome-ignore format: as it is
    const { problems } = await describeBody(people(transform, columns));
    expect(problems).toHaveLength(expected.length);
    for (const [i, pattern] of expected.entries()) expect(problems[i]).toMatch(pattern);
  });
});

/** All frames of one COPY TO STDOUT. */
async function copyOut(session: pg.Client, statement: string): Promise<Buffer[]> {
  const frames: Buffer[] = [];
  const out = new CopyOut(statement, (chunk) => frames.push(Buffer.from(chunk)));
  session.query(out as unknown as pg.Submittable);
  await out.done;
  return frames;
}

/** What the text of a value cannot carry through JavaScript, as the documentation says. */
const lossy: Record<string, string> = {
  json: 'is parsed: spaces and doubled keys go, and a null of JSON is NULL',
  jsonb: 'is parsed: 1.0 is 1, and a null of JSON is NULL',
  'integer[]': 'bounds of dimensions go',
};

test('a function that returns what it was given keeps every value of every type', async () => {
  const columns = ['id', ...Object.keys(typeZoo).map((_, i) => `c${i}`)];
  const list = columns.map((name) => `${name}: z.${name}`).join(', ');
  const { flows, problems } = await describeBody(
    `flows: [{name: zoo, from: zoo z, to: zoo, transform: t.ts, columns: {${list}}}]`,
  );
  expect(problems).toEqual([]);
  const flow = flows![0]!;
  const [from, to] = [await source.open(), await target.open()];
  const frames = await copyOut(from, `copy (select ${columns.join(', ')} from public.zoo) to stdout`);
  const into = new CopyIn(`copy ${qualified({ schema: 'public', name: 'zoo' })} from stdin`, () => {});
  to.query(into as unknown as pg.Submittable);
  await into.ready;
  const loaded = { call: (row: unknown) => row as InputRow, hash: '', framesOf: () => [] };
  const transform = openTransform('zoo', { ...flow, hash: '' }, loaded, async () => null);
  const batch = new TransformBatch(transform, {
    signal: new AbortController().signal,
    write: (bytes) => void into.write(bytes),
  });
  for (const frame of frames) await batch.push(frame);
  await batch.end();
  into.end();
  expect(await into.done).toBe(zooRows().length);
  const texts = (database: TestDatabase, column: string) =>
    database
      .query(`select ${column}::text as v from zoo order by id`)
      .then(({ rows }) => rows.map(({ v }) => v));
  for (const [i, type] of Object.keys(typeZoo).entries()) {
    const [before, after] = [await texts(source, `c${i}`), await texts(target, `c${i}`)];
    if (type in lossy) expect(after, type).not.toEqual(before);
    else expect(after, type).toEqual(before);
  }
  const json = await texts(target, `c${Object.keys(typeZoo).indexOf('jsonb')}`);
  expect(json.slice(0, 5)).toEqual(['{}', '[]', null, '{"a": 1}', '{"a": 1}']);
});
