import { expect, test } from 'vitest';
import { type FindTable, Lineage, tableItem } from '../../src/plan/sql/lineage.ts';
import { isFault, type Place, parsePiece } from '../../src/plan/sql/piece.ts';

const tables: Record<string, string[]> = {
  chunks: ['id', 'text_id', 'body', 'meta'],
  texts: ['id', 'title', 'lang'],
  'app.tags': ['chunk_id', 'tag'],
};

const findTable: FindTable = (parts) => {
  const columns = tables[parts.join('.')];
  return columns && { name: parts.join('.'), columns };
};

async function treeOf(place: Place, text: string) {
  const piece = await parsePiece(place, text);
  if (isFault(piece)) throw new Error(piece.message);
  return piece.tree;
}

/** The origins of an expression over `chunks c` with a join, as `table.column`. */
async function origins(expression: string, join = ''): Promise<string[]> {
  const lineage = new Lineage(findTable);
  const driving = tableItem('c', 'chunks', tables.chunks!);
  const items = join === '' ? [driving] : lineage.itemsOfJoin(await treeOf('join', join), driving);
  const found = lineage.originsOf(await treeOf('column', expression), { items, named: new Map() });
  return found.map(({ table, column }) => (table === '?' ? '?' : `${table}.${column}`));
}

const texts = 'left join texts t on t.id = c.text_id';

test.each<[expression: string, join: string, expected: string[]]>([
  ['c.id', '', ['chunks.id']],
  ['body', '', ['chunks.body']],
  ["'chunk'", '', []],
  ['upper(c.body) || c.id || c.body', '', ['chunks.body', 'chunks.id']],
  ['c', '', ['chunks.*']],
  ['to_jsonb(c.*)', '', ['chunks.*']],
  ['coalesce(t.title, c.body)', texts, ['texts.title', 'chunks.body']],
  ['title', texts, ['texts.title']],
  ['case when t.lang is null then c.id end', texts, ['texts.lang', 'chunks.id']],
  ['s.n', 'left join (select text_id, count(*) as n from chunks group by 1) s using (text_id)', ['chunks.*']],
  ['s.title', ', lateral (select t.title from texts t where t.id = c.text_id) s', ['texts.title']],
  ['s.a || s.b', 'cross join (select id, lang from texts) s (a, b)', ['texts.id', 'texts.lang']],
  ['s.lang', 'join (select * from texts) s on true', ['texts.lang']],
  ['s.x', 'join (select id as x from texts union all select chunk_id from app.tags) s on true', ['texts.id', 'app.tags.chunk_id']],
  ['x.body', 'cross join lateral (select lower(c.body) as body) x', ['chunks.body']],
  ['word', "cross join lateral regexp_split_to_table(c.body, ',') as word", ['chunks.body']],
  ['e.value', 'cross join lateral jsonb_each(c.meta) e', ['chunks.meta']],
  ['v.column2', "join (values (1, 'a')) v on v.column1 = c.id", []],
  ['parent.body', 'left join chunks parent on parent.id = c.text_id', ['chunks.body']],
  ['(select max(t.title) from texts t where t.id = c.text_id)', '', ['texts.title']],
  ['(select string_agg(tag, c.body) from app.tags where chunk_id = c.id)', '', ['app.tags.tag', 'chunks.body']],
  ['exists (select 1 from app.tags g where g.chunk_id = c.id)', '', ['app.tags.*']],
  ['c.id in (select chunk_id from app.tags)', '', ['chunks.id', 'app.tags.chunk_id']],
  ['(with w as (select title as w1 from texts) select w1 from w)', '', ['texts.title']],
  ['(with recursive r (i) as (select id from texts union all select i + 1 from r) select max(i) from r)', '', ['texts.id']],
  ['row_number() over (partition by c.text_id order by c.id)', '', ['chunks.text_id', 'chunks.id']],
  ['(c.meta).street', '', ['chunks.meta']],
  ['u.anything', 'join unknown u on true', ['?']],
  ['c.nothing', '', ['?']],
  ['(select max(title) from texts tablesample system (10) repeatable (1))', '', ['texts.title']],
])('%s %s', async (expression, join, expected) => {
  expect(await origins(expression, join)).toEqual(expected);
}); // biome-ignore format: one case a line
