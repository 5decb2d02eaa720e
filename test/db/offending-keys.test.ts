import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { duplicateKeys, orphanKeys } from '../../src/catalog/offending-keys.ts';
import type { ForeignKey, UniqueKey } from '../../src/constraints/types.ts';
import type { Session } from '../../src/pg/session.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

const table = (name: string) => ({ schema: 'public', name });
const unique = (expressions: string[], more: Partial<UniqueKey> = {}): UniqueKey => ({
  expressions,
  nullsNotDistinct: false,
  ...more,
});
const references = (name: string, columns: string[], match: ForeignKey['match'] = 'simple'): ForeignKey => ({
  columns,
  references: table(name),
  referencedColumns: columns,
  match,
  period: false,
});

describe('offending keys', () => {
  let database: TestDatabase;
  let session: Session;

  beforeAll(async () => {
    database = await createDatabase(18);
    session = await database.open();
    await database.execAsSuperuser('create extension citext');
    await database.exec(`
      create table t (a int, b text, "$& odd" int);
      insert into t values (1, 'x', 1), (1, 'x', 1), (1, 'y', 1), (2, null, 2), (2, null, 2), (3, 'X', null), (3, null, null);
      create table heir () inherits (t);
      insert into heir values (3, 'X', 9), (9, 'z', 9);
      create table parent (a int, b text, word citext);
      insert into parent values (1, 'x', 'Word');
      create table parent_heir () inherits (parent);
      insert into parent_heir values (2, 'other', 'heir');
      create table child (a int, b text, word citext);
      insert into child values (1, 'x', 'wORD'), (1, null, null), (null, null, 'none'), (2, 'other', 'WORD'), (2, 'other', 'heir');`);
  });
  afterAll(() => database.drop());

  test.each([
    ['a row that is there twice', unique(['a', 'b']), 1, [{ a: '1', b: 'x' }]],
    [
      'NULLS NOT DISTINCT',
      unique(['a', 'b'], { nullsNotDistinct: true }),
      2,
      [
        { a: '1', b: 'x' },
        { a: '2', b: null },
      ],
    ],
    ['a partial key', unique(['a'], { predicate: 'b is null' }), 1, [{ a: '2' }]],
    ['an expression', unique(['lower(b)']), 1, [{ 'lower(b)': 'x' }]],
    ['an odd name', unique(['"$& odd"']), 2, [{ '"$& odd"': '1' }, { '"$& odd"': '2' }]],
  ])('duplicates: %s', async (_, key, count, rows) => {
    expect(await duplicateKeys(session, table('t'), key)).toEqual({ count, rows });
  });

  test('duplicates: the limit bounds the rows, not the count', async () => {
    const key = unique(['a']);
    expect(await duplicateKeys(session, table('t'), key, 1)).toEqual({ count: 3, rows: [{ a: '1' }] });
  });

  test.each([
    ['MATCH SIMPLE', references('parent', ['a', 'b']), 1, [{ a: '2', b: 'other' }]],
    [
      'MATCH FULL',
      references('parent', ['a', 'b'], 'full'),
      2,
      [
        { a: '1', b: null },
        { a: '2', b: 'other' },
      ],
    ],
    [
      'a type whose equality is an extension’s',
      references('parent', ['word']),
      2,
      [{ word: 'heir' }, { word: 'none' }],
    ],
  ])('orphans: %s', async (_, key, count, rows) => {
    expect(await orphanKeys(session, table('child'), key)).toEqual({ count, rows });
  });
});
