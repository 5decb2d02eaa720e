import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliSite, createCliSite } from './cli-site.ts';

let site: CliSite;

const plan = (title: string) => `name: library
source: \${SOURCE_DATABASE_URL}
target: \${TARGET_DATABASE_URL}
schema: [target.sql]
tables: [books]
flows:
  - name: writers
    from: authors a
    join: cross join lateral (select max(b.title) as last from books b where b.author_id = a.id) newest
    to: writers
    columns:
      id: a.id
      name: ${JSON.stringify(title)}
`;

beforeAll(async () => {
  site = await createCliSite();
  writeFileSync(site.plan, plan("upper(a.name) || ': ' || newest.last"));
});

afterAll(() => site.drop());

const explain = (...more: string[]) => site.run(['plan', 'explain', '-c', site.plan, ...more]);

describe('rowfleet plan explain', { timeout: 60_000 }, () => {
  it('shows each target column’s way in 80 columns, and writes nothing', async () => {
    const { code, out, err } = await explain();
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain(`writers: public.authors a → public.writers
  joined with: cross join lateral (select max(b.title) as last from books b
  where b.author_id = a.id) newest
  its bytes pass through as they are
  id   ← a.id
         from public.authors.id
         integer → bigint, cast to int8
  name ← upper(a.name) || ': ' || newest.last
         from public.authors.name, public.books.title
         text, as it is
`);
    expect(out).toContain('books: public.books t → public.books');
    expect(out.split('\n').filter((line) => line.length > 80)).toEqual([]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: no terminal, so no colours.
    expect(out).not.toMatch(/\u001b/);
    const { rows } = await site.target.query(
      "select from pg_class where relnamespace = 'public'::regnamespace",
    );
    expect(rows).toEqual([]);
  });

  it('prints JSON lines, a flow each', async () => {
    const { code, out } = await explain('--json');
    expect(code).toBe(0);
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ type, name }) => [type, name])).toEqual([
      ['explain', 'books'],
      ['explain', 'writers'],
    ]);
    expect(lines[1].columns[0]).toEqual({
      name: 'id',
      way: 'expression',
      expression: 'a.id',
      from: [{ table: 'public.authors', column: 'id' }],
      sourceType: 'integer',
      targetType: 'bigint',
      cast: 'int8',
    });
  });

  it('draws a flowchart', async () => {
    const { code, out } = await explain('--mermaid');
    expect(code).toBe(0);
    expect(out).toMatch(/^flowchart LR\n {2}subgraph s0\["public\.books"\]\n/);
    expect(out).toContain('-->|"upper(a.name) #124;#124; #39;: #39; #124;#124; newest.last"|');
  });

  it('ends 2 with the place of what is wrong', async () => {
    writeFileSync(site.plan, plan('upper(a.nam) || random()'));
    const { code, out, err } = await explain();
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(
      /plan\.yaml:13 flows\[0\]\.columns\.name: random\(\) gives another value each time.*\(character 17\)/,
    );
    writeFileSync(site.plan, plan('upper(a.nam)'));
    expect((await explain()).err).toMatch(
      /column a\.nam does not exist \(character 7\)\n +→ Did you mean a\.name\?/,
    );
  });
});
