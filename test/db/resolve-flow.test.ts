import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { planHash } from '../../src/plan/hash.ts';
import { brief, copyFlow, resolveBody, resolveGood } from '../plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let target: TestDatabase;

const body = `
flows:
  - name: chunks
    from: chunks c
    join: |
      left join texts t on t.id = c.text_id  -- the title
    where: c.content <> '' -- no empty ones
    to: unified
    columns:
      id: c.id
      kind: "'chunk'"
      title: t.title
      length: length(c.content)
      price: c.price
      vector: "'{1,2}'"
      created: c.created at time zone 'UTC'
`;

beforeAll(async () => {
  [source, target] = await Promise.all([createDatabase(15), createDatabase(18)]);
  await source.exec(`
    create table texts (id int primary key, title varchar(20));
    create table chunks (id int primary key, text_id int, content text, price numeric, created timestamp, secret oid);
    insert into texts values (1, 'one'), (2, null);
    insert into chunks select i, i % 3, case when i % 5 = 0 then '' else 'content ' || i end, i / 7.0,
      timestamp '2024-01-01' + i * interval '1 hour' from generate_series(1, 100) i;
  `);
  await target.exec(`
    create type kind as enum ('text', 'chunk');
    create table unified (id bigint primary key, kind kind not null, title text, length int, price numeric(6, 2),
      vector float4[], created timestamptz, note text default 'none',
      extra int generated always as (length * 2) stored);
    create table keyless (a int, b int not null, c int not null, unique (c, b), unique (a));
    create table sealed (id int generated always as identity primary key, must text not null);
  `);
});

afterAll(async () => {
  await Promise.all([source.drop(), target.drop()]);
});

describe('a flow', () => {
  test('becomes statements whose rows are those of the hand-written INSERT', async () => {
    const resolved = await resolveGood(source, target, body);
    expect(resolved.source).toMatchObject({ encoding: 'UTF8', searchPath: ['public'] });
    expect(Math.floor(resolved.source.version / 10_000)).toBe(15);
    expect(resolved.targets).toEqual([
      { schema: 'public', name: 'unified', oid: expect.any(Number), only: true, key: ['id'] },
    ]);
    const [flow] = resolved.flows;
    await copyFlow(await source.open(), await target.open(), resolved, flow!);
    const { rows: copied } = await target.query('select to_jsonb(u) as row from unified u order by id');
    const { rows: written } = await source.query(`
      select jsonb_build_object('id', c.id, 'kind', 'chunk', 'title', t.title, 'length', length(c.content),
        'price', c.price::numeric(6, 2), 'vector', '{1,2}'::float4[], 'created', c.created at time zone 'UTC',
        'note', 'none', 'extra', length(c.content) * 2) as row
      from chunks c left join texts t on t.id = c.text_id where c.content <> '' order by c.id`);
    expect(copied).toHaveLength(80);
    expect(copied).toEqual(written);
    await target.exec('truncate unified');
  });

  test('knows types, casts, digests and what it reads', async () => {
    const resolved = await resolveGood(source, target, body);
    const [flow] = resolved.flows;
    expect(flow).toMatchObject({
      alias: '"c"',
      only: false,
      format: 'text', // an enum of the target
      leaves: [{ schema: 'public', name: 'chunks', hasCtid: true }],
      target: { schema: 'public', name: 'unified' },
    });
    expect(flow!.reads).toEqual([
      { schema: 'public', name: 'chunks' },
      { schema: 'public', name: 'texts' },
    ]);
    const columns = Object.fromEntries(flow!.columns.map((column) => [column.name, column]));
    expect(columns.id).toMatchObject({
      copyExpression: '(c.id\n)::pg_catalog."int8"',
      sourceType: 'integer',
      targetType: 'bigint',
      digest: 'native',
      notNull: true,
      sourceColumn: 'id',
    });
    expect(columns.kind).toMatchObject({
      copyExpression: "'chunk'",
      targetType: 'public.kind',
      digest: 'text',
      notNull: true,
    });
    expect(columns.vector).toMatchObject({
      copyExpression: `('{1,2}'\n)::pg_catalog."_float4"`,
      digest: 'text',
    });
    expect(columns.price).toMatchObject({
      compareExpression: 'pg_catalog.round((c.price\n), 2)',
      digest: 'numeric',
    });
    expect(columns.title).toMatchObject({ sourceType: 'character varying(20)', digest: 'native' });
    expect(columns.length!.sourceColumn).toBeUndefined();
  });

  test('goes in binary where every column allows it', async () => {
    const good = `
flows:
  - {name: f, from: chunks c, to: sealed, columns: {id: c.id, must: c.content}}
`;
    expect((await resolveGood(source, target, good)).flows[0]!.format).toBe('binary');
  });

  test('has a key that identifies a row: unique and not null, if there is no primary key', async () => {
    const good = `
flows:
  - {name: f, from: chunks, to: keyless, columns: {a: id, b: chunks.id, c: id}}
`;
    const resolved = await resolveGood(source, target, good);
    expect(resolved.targets[0]!.key).toEqual(['c', 'b']);
    expect(resolved.flows[0]!.columns.map((column) => column.sourceColumn)).toEqual(['id', 'id', 'id']);
  });

  test('may be driven by a view or a materialized view, whose tables are known', async () => {
    await source.exec(`
      create or replace view seen as select id, content from chunks;
      create materialized view if not exists kept as select id, content from chunks`);
    const good = `
flows:
  - {name: v, from: seen s, where: s.id < 5, to: sealed, columns: {must: s.content}}
  - {name: m, from: kept k, where: k.id > 5, to: sealed, columns: {must: k.content}}
`;
    const resolved = await resolveGood(source, target, good);
    expect(resolved.flows.map(({ leaves, reads }) => ({ leaves, reads }))).toEqual([
      {
        leaves: [expect.objectContaining({ name: 'seen', hasCtid: false })],
        reads: [{ schema: 'public', name: 'chunks' }],
      },
      { leaves: [expect.objectContaining({ name: 'kept', hasCtid: true })], reads: [] },
    ]);
    const [from, to] = [await source.open(), await target.open()];
    for (const flow of resolved.flows) await copyFlow(from, to, resolved, flow);
    expect((await target.query('select from sealed')).rowCount).toBe(99);
    await target.exec('truncate sealed');
  });

  test('keeps its hash through JSON, and changes it with anything else', async () => {
    const resolved = await resolveGood(source, target, body);
    const again = JSON.parse(JSON.stringify(resolved));
    expect(planHash(again)).toBe(planHash(resolved));
    expect(planHash(resolved)).toMatch(/^[0-9a-f]{64}$/);
    again.flows[0].columns[0].expression = 'c.id + 1';
    expect(planHash(again)).not.toBe(planHash(resolved));
  });

  test('is resolved the same whatever search_path the role has', async () => {
    await source.exec('create schema if not exists app; create table if not exists app.chunks (id text)');
    await source.exec(
      `alter role current_user in database "${source.name}" set search_path = app, "$user", public`,
    );
    try {
      const flow = `
flows:
  - {name: f, from: chunks c, to: unified, columns: {id: c.id::int, kind: "'text'"}}
`;
      const resolved = await resolveGood(source, target, flow);
      expect(resolved.source.searchPath).toEqual(['app', 'public']);
      expect(resolved.flows[0]!.driving).toMatchObject({ schema: 'app', name: 'chunks' });
    } finally {
      await source.exec(
        `alter role current_user in database "${source.name}" reset search_path; drop schema app cascade`,
      );
    }
  });
});

describe('a flow that cannot be', () => {
  const flow = (lines: string) => `
flows:
  - name: f
    from: chunks c
    to: unified
    columns:
      kind: "'chunk'"
${lines}`;

  const cases: [what: string, body: string, expected: RegExp][] = [
    ['a missing column of the source', flow('      id: c.idd'), /^9 flows\[0\]\.columns\.id error: PostgreSQL says: column c\.idd does not exist \(character 1\) \| Did you mean c\.id\?$/m],
    ['a missing column of the target', flow('      id: c.id\n      lenght: 1'), /^10 flows\[0\]\.columns\.lenght error: public\.unified has no column lenght in the target \| Did you mean length\?$/m],
    ['no value for NOT NULL', flow('      title: c.content'), /^7 flows\[0\]\.columns error: id of public\.unified is NOT NULL and gets no value \|/m],
    ['a generated column', flow('      id: c.id\n      extra: c.id'), /^10 flows\[0\]\.columns\.extra error: extra is a generated column/m],
    ['two expressions', flow('      id: c.id, c.text_id'), /^9 flows\[0\]\.columns\.id error: it is more than one expression/m],
    ['a closing parenthesis', flow('      id: c.id) from chunks c --'), /^9 .*error: PostgreSQL says: syntax error at or near "\)" \(character 5\)/m],
    ['an open comment', flow('      id: c.id /*'), /^9 .*error: PostgreSQL says: unterminated \/\* comment .* \(character 6\)/m],
    ['two statements', flow('      id: "1); drop table chunks; --"'), /^9 .*error: PostgreSQL says: syntax error at or near "\)" \(character 2\)/m],
    ['a bare semicolon', flow('      id: "1; drop table chunks"'), /^9 .*error: it holds a semicolon/m],
    ['a parameter', flow('      id: $1'), /^9 .*error: it holds the parameter \$1/m],
    ['an aggregate', flow('      id: max(c.id)'), /^9 .*error: max is an aggregate, which would see one batch at a time \(character 1\) \| Declare group_by/m],
    ['a window function', flow('      id: row_number() over ()'), /^9 .*error: row_number over \(…\) is a window function, which would see one batch at a time \(character 1\) \| Declare window_by/m],
    ['a set', flow('      id: generate_series(1, 2)'), /^9 .*error: it may give several rows/m],
    ['text into a number', flow('      id: c.content'), /^9 .*error: text does not go into id, which is bigint: .*\| Convert it in the plan, for example \(…\)::int8\.$/m],
    ['a timestamp without its zone', flow('      id: c.id\n      created: c.created'), /^10 .*error: timestamp without time zone does not go into created.*time zone \| Name the zone/m],
    ['a literal that is none', flow(`      id: "'abc'"`), /^9 flows\[0\]\.columns\.id error: PostgreSQL says: invalid input syntax for type bigint/m],
    ['a number into an enum', flow('      id: c.id').replace(`"'chunk'"`, 'c.id'), /^8 .*error: integer does not go into kind, which is public\.kind/m],
    ['a wrong join', flow('      id: c.id').replace('    to:', '    join: left join textz t on true\n    to:'), /^6 flows\[0\]\.join error: PostgreSQL says: relation "textz" does not exist/m],
    ['a wrong where', flow('      id: c.id').replace('    to:', '    where: c.contend is null\n    to:'), /^6 flows\[0\]\.where error: PostgreSQL says: column c\.contend does not exist/m],
    ['a limit', flow('      id: c.id').replace('    to:', '    join: limit 5\n    to:'), /^6 flows\[0\]\.join error: it goes past its place \(LIMIT\) \(character 1\)/m],
    ['a union', flow('      id: c.id').replace('    to:', '    join: union select 1 from chunks c\n    to:'), /^6 .*error: it goes past its place \(UNION\) \(character 1\)/m],
    ['a WHERE too many', flow('      id: c.id').replace('    to:', '    where: where true\n    to:'), /^6 flows\[0\]\.where error: it begins with WHERE \(character 1\) \| Leave the word out/m],
    ['a full join', flow('      id: c.id').replace('    to:', '    join: full join texts t on t.id = c.id\n    to:'), /^6 .*error: a FULL JOIN adds rows/m],
    ['a missing driving table', flow('      id: c.id').replace('chunks c', 'chunk c'), /^5 flows\[0\]\.from error: there is no table chunk c in the source \| Did you mean chunks\?$/m],
    ['a missing target', flow('      id: c.id').replace('unified', 'unifeid'), /^6 flows\[0\]\.to error: there is no table unifeid in the target \| Did you mean unified\?$/m],
    ['a name of another case', flow('      id: c.id\n      Title: c.content'), /^10 .*no column Title in the target \| Did you mean title\?$/m],
  ]; // biome-ignore format: one case a line

  test.each(cases)('%s is reported with its line and a hint', async (_, text, expected) => {
    const { resolved, problems } = await resolveBody(source, target, text);
    expect(problems.map(brief).join('\n')).toMatch(expected);
    expect(resolved).toBeUndefined();
  });

  test('all that is wrong comes in one answer', async () => {
    const text = flow('      id: c.idd\n      title: c.contend\n      lenght: 1\n      created: c.created');
    const { problems } = await resolveBody(source, target, text);
    expect(problems.map(({ at }) => at.line)).toEqual([9, 10, 11, 12]);
  });

  test('nothing that stands in a plan is ever run', async () => {
    await source.exec(`
      create table if not exists witness (n int);
      create or replace function write_it() returns int language plpgsql stable as
        $$ begin insert into public.witness values (1); return 1; end $$;`);
    const { problems } = await resolveBody(source, target, flow('      id: write_it()'));
    expect(problems.filter(({ severity }) => severity === 'error').map(brief)).toEqual([]);
    expect((await source.query('select from witness')).rowCount).toBe(0);
  });
});
