import { expect, test } from 'vitest';
import { palette } from '../../ops/cli/render/color.ts';
import { explainedLines } from '../../ops/cli/render/explain.ts';
import { flowchart } from '../../ops/cli/render/flowchart.ts';
import { widthOf } from '../../ops/cli/render/text.ts';
import type { ExplainedFlow } from '../../src/plan/explain.ts';

const key = {
  expression: 'c.region',
  from: [{ table: 'public.chunks', column: 'region' }],
  sourceType: 'text',
  targetType: 'text',
};

const flow: ExplainedFlow = {
  name: 'chunks',
  from: 'public.chunks',
  alias: 'c',
  join: 'left join texts t\n  on t.id = c.text_id',
  where: "c.body <> ''",
  to: 'public.unified',
  format: 'binary',
  grouping: { kind: 'group', by: ['c.id', 'c.kind'] },
  fusion: { rule: 'skip', key: ['id'], order: ['c.made desc'] },
  columns: [
    {
      name: 'id',
      way: 'expression',
      expression: 'c.id',
      from: [{ table: 'public.chunks', column: 'id' }],
      sourceType: 'integer',
      targetType: 'bigint',
      cast: 'int8',
    },
    {
      name: 'title',
      way: 'expression',
      expression: `coalesce(t.title, "We""ird", 'a \`\`\` <b> --> #1; %% x') || ${"repeat('title', 1) || ".repeat(4)} u.x`,
      from: [
        { table: 'public.texts', column: 'title' },
        { table: 'public.chunks', column: 'We"ird' },
        { table: '?', column: '?' },
      ],
      sourceType: 'text',
      targetType: 'text',
    },
    {
      name: 'kind',
      way: 'expression',
      expression: "'chunk'",
      from: [],
      sourceType: 'unknown',
      targetType: 'kind',
    },
    {
      name: 'region_id',
      way: 'lookup',
      table: 'public.region',
      take: 'id',
      by: [{ name: 'code', ...key }],
      targetType: 'integer',
    },
    { name: 'made', way: 'left out', instead: 'default', targetType: 'timestamp with time zone' },
  ],
};

test('plan explain fits 80 columns and names what each value is made of', () => {
  const lines = explainedLines([flow], palette(false));
  expect(lines.filter((line) => widthOf(line) > 80)).toEqual([]);
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "chunks: public.chunks c → public.unified
      joined with: left join texts t on t.id = c.text_id
      rows where: c.body <> ''
      one row a group of: c.id, c.kind
      the first stays of rows with one (id), by c.made desc
      its bytes pass through as they are, values are looked up on the way
      id        ← c.id
                  from public.chunks.id
                  integer → bigint, cast to int8
      title     ← coalesce(t.title, "We""ird", 'a \`\`\` <b> --> #1; %% x') ||
                  repeat('title', 1) || repeat('title', 1) ||
                  repeat('title', 1) || repeat('title', 1) ||  u.x
                  from public.texts.title, public.chunks.We"ird, ?
                  text, as it is
      kind      ← 'chunk'
                  from no source column
                  unknown → kind
      region_id ← id of public.region, looked up by
                  code = c.region
                    from public.chunks.region
                    text, as it is
      made      ← its default (timestamp with time zone)"
  `);
});

test('an id map, a backfill and what is looked up are told by what becomes of their rows', () => {
  const [id, , , region] = flow.columns;
  const alone = { ...flow, join: '', where: '' };
  delete alone.grouping;
  delete alone.fusion;
  const map: ExplainedFlow = {
    ...{ ...alone, name: 'id map chunk', to: 'rowfleet.id_map_chunk' },
    columns: [
      { ...id!, name: 'old_1' },
      { name: 'new_id', way: 'left out', instead: 'new', targetType: 'uuid' },
    ],
  };
  const lines = [
    map,
    { ...alone, columns: [region!] },
    { ...alone, backfill: { key: ['id'] }, columns: [id!] },
  ];
  expect(
    explainedLines(lines, palette(false))
      .filter((line) => !/^ {8,}/.test(line))
      .join('\n'),
  ).toMatchInlineSnapshot(`
    "id map chunk: public.chunks c → rowfleet.id_map_chunk
      its bytes pass through as they are
      old_1  ← c.id
      new_id ← an id of its own for each old key (uuid)

    chunks: public.chunks c → public.unified
      its bytes pass through as they are, values are looked up on the way
      region_id ← id of public.region, looked up by

    chunks: public.chunks c → public.unified
      its rows are updated where they stand, found by id
      id ← c.id
           from public.chunks.id
           integer → bigint, cast to int8"
  `);
});

test('the flowchart names each column once, and its labels are only text', () => {
  const lines = flowchart([flow, { ...flow, name: 'again' }]);
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "flowchart LR
      subgraph s0["public.chunks"]
        s0_0["id"]
        s0_1["We#34;ird"]
        s0_2["region"]
      end
      subgraph s1["public.texts"]
        s1_0["title"]
      end
      subgraph s2["#63;"]
        s2_0["#63;"]
      end
      subgraph s3["constants"]
        s3_0["#39;chunk#39;"]
      end
      subgraph t0["public.unified"]
        t0_0["id"]
        t0_1["title"]
        t0_2["kind"]
        t0_3["region_id"]
        t0_4["made"]
      end
      subgraph t1["public.region"]
        t1_0["id"]
      end
      s0_0 --> t0_0
      s1_0 -->|"coalesce(t.title, #34;We#34;#34;ird#34;, #39;a #96;#96;#96; #60;b#62;#8230;"| t0_1
      s0_1 -->|"coalesce(t.title, #34;We#34;#34;ird#34;, #39;a #96;#96;#96; #60;b#62;#8230;"| t0_1
      s2_0 -->|"coalesce(t.title, #34;We#34;#34;ird#34;, #39;a #96;#96;#96; #60;b#62;#8230;"| t0_1
      s3_0 --> t0_2
      s0_2 --> t0_3
      t1_0 -.->|"looked up"| t0_3"
  `);
  expect(lines.join('\n')).not.toMatch(/`|<|%%|#1;/);
});
