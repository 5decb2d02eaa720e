import { describe, expect, test } from 'vitest';
import { Relations } from '../../src/catalog/relations.ts';
import { findTable, parseDriving, parseName } from '../../src/plan/sql/names.ts';
import { faultOfSchemaFile } from '../../src/plan/sql/schema-file.ts';
import { bareLiteral, lex } from '../../src/plan/sql/text.ts';

describe('lexing as the server does', () => {
  test.each<[string, string[]]>([
    ["a 'it''s' b", ['a', "'it''s'", 'b']],
    [String.raw`'\' e'\'' x`, [String.raw`'\'`, String.raw`e'\''`, 'x']],
    ['"A ""q""" B', ['"A ""q"""', 'b']],
    ['$$ ; $$ $a$ $$ $a$ a$b$', ['$$ ; $$', '$a$ $$ $a$', 'a$b$']],
    ['a /* /* */ ; */ b -- ; c\nd', ['a', 'b', 'd']],
    ['1.5e3 .5 $1', ['1.5e3', '.5', '$1']],
    ["U&'d\\0061' u&\"x\" N'n'", ["U&'d\\0061'", 'u&"x"', "N'n'"]],
    ['ÄB naïve\u00a0x', ['Äb', 'naïve\u00a0x']],
  ])('%s', (text, tokens) => {
    expect(lex(text)).toEqual({ tokens: tokens.map((each) => expect.objectContaining({ text: each })) });
  });

  test.each(["'a", '"a', '$x$ a $y$', '/* /* */', "e'\\'", '(a', 'a)', '(a]', '""'])(
    '%s is not whole',
    (text) => {
      expect(lex(text).fault).toBeDefined();
    },
  );
});

test.each([
  ["'chunk'", "'chunk'"],
  [' null -- none\n', 'null'],
  ['$$x$$', '$$x$$'],
  ["'a' 'b'", undefined],
  ["'a'::text", undefined],
  ['c', undefined],
  ['1', undefined],
])('%s as a bare literal', (text, literal) => {
  expect(bareLiteral(text)).toBe(literal);
});

describe('names', () => {
  test.each([
    ['chunks c', { name: 'chunks' }, 'c'],
    ['Chunks AS C', { name: 'chunks' }, 'c'],
    ['app."My Table" "T"', { schema: 'app', name: 'My Table' }, 'T'],
    ['"a""b"', { name: 'a"b' }, 'a"b'],
    ['chunks -- all of them', { name: 'chunks' }, 'chunks'],
  ])('from: %s', (text, written, alias) => {
    expect(parseDriving(text)).toEqual({ written, alias });
  });

  test.each([
    'only chunks c d',
    'chunks c (a)',
    'chunks as',
    '(select 1) c',
    'a.b.c',
    "'x'",
    'chunks, texts',
  ])('from: %s is none', (text) => {
    expect(parseDriving(text)).toBeUndefined();
  });

  test('are found exactly first, then as SQL', () => {
    const relation = (oid: number, schema: string, name: string) =>
      ({ oid, schema, name, kind: 'r', parents: [] as number[] }) as unknown as Relations['all'][number];
    const relations = new Relations([
      relation(1, 'public', 'tags'),
      relation(2, 'public', 'Tags'),
      relation(3, 'app', 'tags'),
      relation(4, 'app', 'a.b'),
      relation(5, 'other', 'far'),
    ]);
    const oid = (text: string) => findTable(relations, ['public', 'app'], text).relation?.oid;
    expect([
      oid('tags'),
      oid('Tags'),
      oid('TAGS'),
      oid('app.tags'),
      oid('"app"."tags"'),
      oid('a.b'),
      oid('far'),
    ]).toEqual([1, 2, 1, 3, 3, 4, undefined]);
    expect(findTable(relations, ['public'], 'far')).toEqual({ nearest: 'other.far' });
    expect(findTable(relations, ['public'], 'tagz')).toEqual({ nearest: 'tags' });
    expect(parseName('a b')).toBeUndefined();
  });
});

test('functions with a body of their own do not end a DDL file early', () => {
  const body =
    'create function f() returns int begin atomic select case when true then 1 end; select 2; end; select 1';
  expect(faultOfSchemaFile(body)).toBeUndefined();
  expect(faultOfSchemaFile(`${body}; commit`)).toMatchObject({ message: expect.stringContaining('COMMIT') });
  expect(faultOfSchemaFile("comment on table a is 'x;\ncommit'")).toBeUndefined();
});
