import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { factsOf } from '../../src/plan/sql/facts.ts';
import { isFault, type Place, parsePiece } from '../../src/plan/sql/piece.ts';
import { judgeFacts } from '../../src/plan/sql/rules.ts';

/** What is wrong with a text by the grammar alone, as the messages end: `… (character 3)`. */
async function said(place: Place, text: string): Promise<string> {
  const piece = await parsePiece(place, text);
  return isFault(piece) ? piece.message : '';
}

async function factsOfText(place: Place, text: string) {
  const piece = await parsePiece(place, text);
  if (isFault(piece)) throw new Error(piece.message);
  return factsOf(piece);
}

describe('an expression', () => {
  test.each([
    'c.id', "'a; b'", '(select 1, 2)', 'array[1, 2]', 'f(a, b)', "c.x -- why\n || ';'", '$$a, b$$', 'case when a then b end',
    "U&'d\\0061'", 'c.x[1:2]', '(c.comp).f', "c.at at time zone 'UTC'", 'a.b /* /* */ ; */',
  ])('%s stays in its place', async (text) => {
    expect(await said('column', text)).toBe('');
  }); // biome-ignore format: a list

  test.each<[string, RegExp]>([
    ['a, b', /more than one expression \(character 4\)/],
    ['a) from x --', /at or near "\)" \(character 2\)/],
    ['a /*', /unterminated \/\* comment at or near "\/\*" \(character 3\)/],
    ['a */ b)', /\(character 7\)/],
    ['1; drop table x', /semicolon \(character 2\)/],
    ['c.id; -- x', /semicolon \(character 5\)/],
    [';', /semicolon \(character 1\)/],
    ['1) or (true', /at or near "\)" \(character 2\)/],
    ["1) union select ('x'", /at or near "\)" \(character 2\)/],
    ['(select 1) union select 2', /past its place \(UNION\) \(character 12\)/],
    ["'ä😀' || c.x limit 3", /past its place \(LIMIT\) \(character 13\)/],
    ['c.id fetch first row only', /\(FETCH\) \(character 6\)/],
    ['c.id offset 1', /\(OFFSET\) \(character 6\)/],
    ['distinct c.id', /\(DISTINCT\) \(character 1\)/],
    ['c.id from x', /\(FROM\) \(character 6\)/],
    ['c.id into x', /\(INTO\) \(character 6\)/],
    ['c.id for update', /\(FOR\) \(character 6\)/],
    ['c.id as x', /gives itself a name \(character 6\)/],
    ['all c.id', /at or near "all" \(character 1\)/],
    ['select 1', /it is a query \(character 1\)/],
    ['', /it is empty/],
    ['  -- nothing', /it is empty/],
    ["'a", /unterminated quoted string/],
    ['a\0b', /NUL character \(character 2\)/],
    ['1 + ', /end of input \(character 4\)/],
    ['('.repeat(20_000), /memory exhausted/],
    [`${'1+'.repeat(50_000)}1`, /nested too deeply/],
    [`${'not '.repeat(2_000)}a`, /nested too deeply/],
  ])('%.40s does not', async (text, expected) => {
    expect(await said('column', text)).toMatch(expected);
  });
});

describe('a join', () => {
  test.each([
    'left join t on t.id = c.id', ', lateral (select max(x) from u order by 1 limit 1) s', 'join t on right(t.a, 1) = t.limit',
    'cross join (a full join b using (x))', 'join "order" o on true', 'natural join t',
  ])('%s stays in its clause', async (text) => {
    expect(await said('join', text)).toBe('');
  }); // biome-ignore format: a list

  test.each<[string, RegExp]>([
    ['limit 1', /\(LIMIT\) \(character 1\)/],
    ['join t on true where x', /\(WHERE\) \(character 16\)/],
    ['union all select 1', /\(UNION\) \(character 1\)/],
    ['join t on true group by 1', /\(GROUP\) \(character 16\)/],
    ['right join t on true', /a RIGHT JOIN adds rows.*\(character 1\)/],
    ['join a on true natural full outer join t', /a FULL JOIN adds rows.*\(character 24\)/],
    ['join t on true for update', /\(FOR\)/],
    [') x', /at or near "\)" \(character 1\)/],
    ['join t on true; select 1', /semicolon \(character 15\)/],
    ['order by 1', /\(ORDER\)/],
    ['tablesample system (1)', /changes how the driving table is read/],
    ['(a, b) join t on true', /changes how the driving table is read/],
  ])('%s does not', async (text, expected) => {
    expect(await said('join', text)).toMatch(expected);
  });
});

test.each<[Place, string, RegExp]>([
  ['order', 'c.at desc nulls last', /^$/],
  ['order', 'a, b', /more than one expression \(character 4\)/],
  ['order', 'a limit 1', /\(LIMIT\) \(character 3\)/],
  ['order', 'a) desc', /\(character 2\)/],
  ['where', 'a or b', /^$/],
  ['where', 'where true', /begins with WHERE/],
  ['where', '1) or (true', /\(character 2\)/],
  ['key', 'a, b', /more than one expression/],
])('%s: %s', async (place, text, expected) => {
  expect(await said(place, text)).toMatch(expected);
});

describe('what a text does', () => {
  test('its columns and calls have their places, and the SELECTs around them', async () => {
    const { columns, calls } = await factsOfText(
      'column',
      "'ä' || f(c.id, 2) || (select max(x) from t where t.id = c.id)",
    );
    expect(columns).toEqual([
      { parts: ['c', 'id'], character: 10, depth: 0 },
      { parts: ['x'], character: 34, depth: 1 },
      { parts: ['t', 'id'], character: 50, depth: 1 },
      { parts: ['c', 'id'], character: 57, depth: 1 },
    ]);
    expect(calls.map(({ parts, args, character, depth }) => ({ parts, args, character, depth }))).toEqual([
      { parts: ['f'], args: 2, character: 8, depth: 0 },
      { parts: ['max'], args: 1, character: 30, depth: 1 },
    ]);
  });

  test.each([
    ['count(*)', 'aggregate'],
    ['sum(c.n) filter (where c.ok)', 'aggregate'],
    ["string_agg(c.t, ',' order by c.id)", 'aggregate'],
    ['percentile_cont(0.5) within group (order by c.n)', 'aggregate'],
    ['json_arrayagg(c.n)', 'aggregate'],
    ['sum(c.n) over (partition by c.g)', 'window'],
    ['json_arrayagg(c.n) over (partition by c.g)', 'window'],
    ['lower(c.t)', 'plain'],
  ])('%s is called as %s', async (text, form) => {
    expect((await factsOfText('column', text)).calls[0]!.form).toBe(form);
  });

  test('the tables of a join are its own, not the driving one', async () => {
    const { tables, calls } = await factsOfText('join', 'join app.t on true, generate_series(1, f(c.n)) g');
    expect(tables).toEqual([{ parts: ['app', 't'], character: 6, depth: 0 }]);
    expect(calls.map(({ parts, inFrom }) => [parts[0], inFrom])).toEqual([
      ['generate_series', true],
      ['f', false],
    ]);
  });
});

describe('the rules', () => {
  const judge = async (text: string, kind?: 'group' | 'window', by: string[] = []) => {
    const shapes = await Promise.all(
      by.map(
        async (each) =>
          (await factsOfText('column', `max(1) over (partition by ${each})`)).calls[0]!.partition[0]!,
      ),
    );
    const { errors, warnings } = judgeFacts(await factsOfText('column', text), {
      place: 'column',
      grouping: kind && { kind, by },
      shapes,
    });
    return [
      ...errors.map(({ message }) => message),
      ...warnings.map(({ message }) => `warning: ${message}`),
    ].join('\n');
  };

  test.each<[string, RegExp]>([
    ['$1', /parameter \$1 \(character 1\)/],
    ['(with d as (delete from x returning id) select id from d)', /it writes \(DELETE\) \(character 25\)/],
    ['(select x from t for update)', /it writes \(FOR UPDATE\)/],
    ['(select x into y from t)', /it writes \(SELECT INTO\) \(character 16\)/],
    ['c.at < current_timestamp(3)', /current_timestamp gives another value each time.*\(character 8\)/],
    ["c.at < timestamp 'today'", /'today' gives another value/],
    [
      '(select max(x) from t tablesample system (10))',
      /TABLESAMPLE gives another value each time.*\(character 35\)/,
    ],
    ['(select max(x) from t tablesample system (10) repeatable (1))', /^$/],
    ['count(*)', /count is an aggregate/],
    ['row_number() over ()', /row_number over \(…\) is a window function/],
    ['(select x from t limit 1)', /^warning: LIMIT without ORDER BY/],
    ['(select x from t union select y from u limit 1)', /^warning: LIMIT without ORDER BY/],
    ['(select distinct on (a) a from t)', /^warning: DISTINCT ON without/],
    ['(select x from t order by y limit 1)', /^$/],
    ['(select x from unnest(c.list) x limit 1)', /^$/],
    ['(select count(*) filter (where x) from t)', /^$/],
    ['(select row_number() over () from t)', /^$/],
    ["'now()' || current_user || c.now", /^$/],
  ])('%s', async (text, expected) => {
    expect(await judge(text)).toMatch(expected);
  });

  test('a group may be aggregated, a window must hold whole groups', async () => {
    expect(await judge('count(*)', 'group', ['c.g'])).toBe('');
    expect(await judge('count(*)', 'window', ['c.g'])).toMatch(/is an aggregate/);
    expect(await judge('count(*) over (partition by c.g)', 'group', ['c.g'])).toMatch(/is a window function/);
    const by = ['c.g', 'lower(c.t)'];
    expect(
      await judge('count(*) over (partition by c.x, LOWER( c.t ), C.g order by c.x)', 'window', by),
    ).toBe('');
    expect(await judge('count(*) over (partition by c.g, c.t)', 'window', by)).toMatch(
      /PARTITION BY lacks lower\(c\.t\) \(character 1\)/,
    );
  });
});

test('the parser is loaded by what parses, and by no command that does not', () => {
  const root = join(import.meta.dirname, '../..');
  const files = ['src', 'workers', 'jobs', 'ops'].flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: 'utf8' }).map((name) =>
      join(root, room, name),
    ),
  );
  const atOnce = files.filter(
    (file) =>
      file.endsWith('.ts') &&
      /^(import|export) (?!type\b)[^;]*'libpg-query'/m.test(readFileSync(file, 'utf8')),
  );
  expect(files.length).toBeGreaterThan(100);
  expect(atOnce).toEqual([]);
});
