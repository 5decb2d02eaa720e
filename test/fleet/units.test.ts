import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { discardRefused, sendRefused } from '../../src/control/quarantine.ts';
import { reload } from '../../src/control/reload.ts';
import { readQuarantined } from '../../src/ledger/read-quarantine.ts';
import { sealFrom } from '../../src/ledger/seal.ts';
import { openTarget, type Target } from '../in-process-fleet.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

let source: TestDatabase;
let into: TestDatabase;
let target: Target;

beforeEach(async () => {
  vi.stubEnv('ROWFLEET_QUARANTINE_KEY', Buffer.alloc(32, 7).toString('base64'));
  [source, into] = await Promise.all([createDatabase(15), createDatabase(18)]);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await target.close();
  await Promise.all([source.drop(), into.drop()]);
});

const seal = () => sealFrom(process.env);
const rowsOf = (runId: string) => readQuarantined(target.ledger.pool, { runId }, seal());
const send = (
  runId: string,
  { ids, edits = [] }: { ids?: string[]; edits?: { id: string; targetRows: unknown }[] } = {},
) =>
  sendRefused(
    target.ledger,
    runId,
    { ...(ids && { ids }), edits: edits.map((edit) => ({ ...edit, at: 'test' })), actor: 'test' },
    seal(),
  );

async function migrate(plan: string): Promise<string> {
  target = await openTarget(into);
  target.startFleet();
  return target.start(source, plan);
}

const held = async (query: string): Promise<string[]> =>
  (await into.query<{ row: string }>(`select t::text as row from (${query}) t order by 1`)).rows.map(
    ({ row }) => row,
  );

/** What a check of a run counted. */
const evidenceOf = async (check: string, flow: string) =>
  (
    await into.query(
      `select evidence from rowfleet.task where kind = 'check' and spec ->> 'check' = $1 and spec ->> 'flow' = $2 order by id desc limit 1`,
      [check, flow],
    )
  ).rows[0]?.evidence;

// Two parts of a key, NULL among them, and numbers that are equal and written differently; enough for several batches.
const lines = `
  create table line (id int primary key, customer int, rate numeric, amount text, note text);
  insert into line select i, i / 20, case when i % 2 = 0 then 1.0 else 1.00 end, '5', repeat('x', 100) from generate_series(0, 39999) i;
  update line set customer = null where customer = 100;
  update line set rate = 2 where id % 20 >= 10;
  update line set rate = null where id between 8000 and 8005;
  create index on line (customer)`;
const totals = `
name: totals
flows:
  - name: total
    from: line l
    group_by: [l.customer, l.rate]
    to: total
    columns: {customer: l.customer, rate: "l.rate::int", total: "sum(l.amount::int)::int", n: "count(*)::int"}`;

test('a group that is refused is set aside as one, by its whole key, and all others are loaded and proven', async () => {
  await source.exec(`${lines};
    update line set amount = 'many' where id = 1234;
    update line set amount = '-100' where id in (2000, 8001, 30012);`);
  await into.exec('create table total (customer int, rate int, total int check (total > 0), n int)');
  const runId = await migrate(totals);
  await target.ended(runId, 'quarantined');
  const refused = new Map(
    (await rowsOf(runId)).map((row) => {
      const [customer, rate] = Object.values(row.values!.sourceKey!);
      // Of equal numbers either may be told.
      return [`${customer},${rate && Number(rate)}`, row];
    }),
  );
  expect(
    [...refused]
      .map(([key, { code, stage, column, constraint, driving, outputs }]) => [
        key,
        code,
        stage,
        column ?? constraint,
        driving,
        outputs,
      ])
      .sort(),
  ).toEqual([
    ['1500,2', '23514', 'constraint', 'total_total_check', 10, 1],
    ['400,null', '23514', 'constraint', 'total_total_check', 6, 1],
    ['61,2', '22P02', 'extract', 'total', 10, 1],
    ['null,1', '23514', 'constraint', 'total_total_check', 10, 1],
  ]);
  const one = refused.get('61,2')!;
  expect(one.values!.sourceKey).toEqual({ 'l.customer': '61', 'l.rate': '2' });
  expect(one.values!.sourceRow).toHaveLength(10);
  expect(refused.get('1500,2')!.values!.targetRows).toEqual([
    { customer: '1500', rate: '2', total: '-55', n: '10' },
  ]);
  expect(await target.findings(runId)).toEqual([]);
  expect(await evidenceOf('accounting', 'total')).toMatchObject({
    driving: 40000,
    quarantined: 36,
    outputs: 3997,
  });
  expect(await held('select count(*), sum(n) from total')).toEqual(['(3997,39964)']);

  // Mended in the source, by hand, given up; and sent as it was.
  await source.exec(`update line set amount = '7' where id in (1234, 8001)`);
  const byHand = refused.get('1500,2')!;
  const edited = [{ customer: '1500', rate: '2', total: '1', n: '10' }];
  await send(runId, { edits: [{ id: byHand.id, targetRows: edited }] });
  await target.ended(runId, 'quarantined');
  expect(await held('select * from total where total < 40 or total > 50 or customer is null')).toEqual([
    '(,2,50,10)',
    '(1500,2,1,10)',
    '(400,,32,6)',
    '(400,1,20,4)',
    '(61,2,52,10)',
  ]);
  const [left] = (await rowsOf(runId)).filter(({ state }) => state !== 'loaded');
  expect(left).toMatchObject({
    state: 'held',
    history: [{ did: 'sent again' }, { did: expect.stringContaining('refused again') }],
  });
  await discardRefused(target.ledger, runId, { reason: 'test', actor: 'test' });
  await source.exec(`update line set amount = '5' where id = 30012`);
  await sendRefused(target.ledger, runId, { ids: [byHand.id], asSource: true, actor: 'test' }, seal());
  await target.ended(runId, 'quarantined');
  expect(await held('select * from total where customer = 1500 and rate = 2')).toEqual(['(1500,2,50,10)']);
  await reload(target.ledger, runId, { scope: 'whole', flow: 'total', actor: 'test' });
  await target.ended(runId, 'quarantined');
  expect(await held('select count(*) from total')).toEqual(['(4000)']);
});

test('a window is set aside whole where no index leads to its groups, and a view has them too', async () => {
  await source.exec(`
    create table doc (id int primary key, slug text, at int, size text);
    insert into doc select i, 's' || i % 500, i, i::text from generate_series(1, 5000) i;
    update doc set size = 'big' where id = 1003; update doc set slug = 'S7' where id = 507;
    create view short as select slug, size from doc where id % 2 = 0`);
  await into.exec(`
    create table doc (id int primary key, slug text, version int, size int, unique (slug, version));
    create table short (slug text primary key, sizes int[] check (2002 <> all (sizes)))`);
  const runId = await migrate(`
name: versions
flows:
  - name: doc
    from: doc d
    window_by: lower(d.slug)
    to: doc
    columns: {id: d.id, slug: d.slug, size: "d.size::int", version: "row_number() over (partition by lower(d.slug) order by d.at)::int"}
  - {name: short, from: short s, group_by: s.slug, to: short, columns: {slug: s.slug, sizes: "array_agg(s.size::int order by s.size::int)"}}`);
  await target.ended(runId, 'quarantined');
  const rows = await rowsOf(runId);
  expect(
    rows.map(({ flow, driving, outputs, values }) => [flow, values!.sourceKey, driving, outputs]).sort(),
  ).toEqual([
    ['doc', { 'lower(d.slug)': 's3' }, 10, 10],
    ['short', { 's.slug': 's2' }, 10, 1],
  ]);
  expect(await evidenceOf('accounting', 'doc')).toMatchObject({
    driving: 5000,
    quarantined: 10,
    filtered: 0,
    outputs: 4990,
  });
  await source.exec(`update doc set size = '1' where size = 'big'`);
  await into.exec('alter table short drop constraint short_sizes_check');
  await send(runId);
  await target.ended(runId);
  expect(
    await held(`select slug, max(version), count(*) from doc where lower(slug) in ('s3', 's7') group by 1`),
  ).toEqual(['(S7,2,1)', '(s3,10,10)', '(s7,10,9)']);
});

test('groups that fill several tables are refused together; where no group can be told, the message says by what', async () => {
  await source.exec(`
    create table line (id int primary key, k text, n int);
    insert into line select i, i % 50, i from generate_series(1, 1000) i;
    update line set n = -n where k = '7';
    create index on line (k)`);
  await into.exec(`
    create table a (k text primary key, n int check (n > 0)); create table b (k text primary key, most int);
    create table c (k int, n int)`);
  const outputs = `
name: both
flows:
  - name: line
    from: line l
    group_by: l.k
    outputs:
      - {to: a, columns: {k: l.k, n: "sum(l.n)::int"}}
      - {to: b, columns: {k: l.k, most: max(l.n)}}`;
  const runId = await migrate(outputs);
  await target.ended(runId, 'quarantined');
  const rows = await rowsOf(runId);
  expect(rows).toMatchObject([{ driving: 20, outputs: 2, values: { sourceKey: { 'l.k': '7' } } }]);
  await source.exec('update line set n = abs(n)');
  await send(runId);
  await target.ended(runId);
  expect(await held(`select * from a join b using (k) where k = '7'`)).toEqual(['(7,9640,957)']);

  await source.exec(`insert into line values (2000, 'seven', 1)`);
  const untold = await target.start(
    source,
    `
name: untold
migration: {max_retries: 0}
flows:
  - {name: line, from: line l, group_by: "l.k::int", to: c, columns: {k: "l.k::int", n: "sum(l.n)::int"}}`,
  );
  const { error } = await target.ended(untold, 'failed');
  expect(error).toMatchObject({
    code: 'UNITS_UNTOLD',
    message: expect.stringMatching(
      /line: a group is refused \(.*22P02\)?.*, and which one cannot be told by l\.k::int: .*22P02/,
    ),
    hint: expect.stringContaining('rowfleet revise'),
  });
});

test('a flow of groups that is one batch has no time limit', async () => {
  await source.exec('create table line as select i, i % 9 as k from generate_series(1, 100000) i');
  await into.exec('create table total (k int primary key, n text)');
  const runId = await migrate(`
name: whole
migration: {timeout_per_batch: 100ms, max_retries: 0}
flows:
  - {name: total, from: line l, group_by: l.k, to: total, columns: {k: l.k, n: "max(md5(repeat(l.i::text, 300)))"}}`);
  await target.ended(runId);
});

test('rows whose new values are refused stay as they are in place, and are updated once they are mended', async () => {
  await into.exec(`
    create table article (tenant int, id int, title text, price text, slug text, cents int check (cents < 1000000),
      label text not null default '', short varchar(12), unique (slug), primary key (tenant, id));
    insert into article (tenant, id, title, price) select i % 3, i, 'title ' || i, '1.50' from generate_series(1, 6000) i;
    update article set price = 'free' where id = 70;
    update article set price = '99999999999' where id = 71;
    update article set price = '20000' where id = 72;
    update article set title = null where id = 73;
    update article set title = 'title 80' where id = 3000;
    update article set title = 'a title too long for it' where id = 74;
    create table twice as select 77 as id;
    update article set title = 'gone' , price = 'gone' where id = 75`);
  target = await openTarget(into);
  target.startFleet();
  const plan = `
name: backfill
flows:
  - {name: article, from: article a, join: left join twice t on t.id = a.id, to: article, columns: {short: a.title, slug: "replace(a.title, ' ', '-')", cents: "(a.price::numeric * 100)::int", label: a.title}}`;
  const runId = await target.start(into, plan);
  await target.ended(runId, 'quarantined');
  const byId = new Map((await rowsOf(runId)).map((row) => [Number(row.values!.sourceKey!.id), row]));
  const duplicate = byId.has(80) ? 80 : 3000;
  const reasonOf = (id: number) => {
    const { stage, code, column, constraint } = byId.get(id)!;
    return [stage, code, constraint ?? column];
  };
  expect([...byId.keys()].sort((a, b) => a - b)).toEqual(
    [70, 71, 72, 73, 74, 75, duplicate].sort((a, b) => a - b),
  );
  expect([70, 71, 72, 73, 74, duplicate].map(reasonOf)).toEqual([
    ['extract', '22P02', 'cents'],
    ['extract', '22003', 'cents'],
    ['constraint', '23514', 'article_cents_check'],
    ['constraint', '23502', 'label'],
    ['load', '22001', 'short'],
    ['constraint', '23505', 'article_slug_key'],
  ]);
  expect(byId.get(72)!.values).toMatchObject({
    sourceRow: { id: 72, tenant: 0, price: '20000' },
    targetRows: [{ cents: '2000000' }],
  });
  expect(
    await held(
      `select count(*) from article where slug = replace(title, ' ', '-') and cents = 150 and label = title`,
    ),
  ).toEqual(['(5993)']);
  expect(await held('select slug, cents, label from article where id between 70 and 73')).toEqual(
    Array(4).fill('(,,"")'),
  );
  expect(await evidenceOf('backfill', 'article')).toMatchObject({ rows: 5993, different: 0, quarantined: 7 });

  // The application mends, deletes and goes on; one row is left, another is new to the quarantine.
  await into.exec(`
    update article set price = '0.50' where id in (70, 71); update article set title = 'other' where id = ${duplicate};
    delete from article where id = 75; insert into twice values (77); update article set price = 'none' where id = 76`);
  const edit = { id: byId.get(73)!.id, targetRows: [{ slug: 'x', cents: '1', label: 'x' }] };
  await expect(send(runId, { edits: [edit] })).rejects.toMatchObject({
    code: 'EDIT_INVALID',
    message: expect.stringContaining('where they stand'),
  });
  await send(runId);
  await target.ended(runId, 'findings');
  await reload(target.ledger, runId, { scope: 'whole', flow: 'article', actor: 'test' });
  await target.ended(runId, 'quarantined');
  expect(
    await held(`select id, cents, label from article where id in (70, 71, 72, 73, 76, ${duplicate})`),
  ).toEqual(
    [
      '(70,50,"title 70")',
      '(71,50,"title 71")',
      '(72,,"")',
      '(73,,"")',
      '(76,150,"title 76")',
      `(${duplicate},150,other)`,
    ].sort(),
  );
  const states = (await rowsOf(runId)).map(({ state, values }) => [Number(values!.sourceKey!.id), state]);
  expect(
    states
      .filter(([, state]) => state === 'held')
      .map(([id]) => id)
      .sort(),
  ).toEqual([72, 73, 74, 76, 77]);
});
