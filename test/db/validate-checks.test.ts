import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ResolvedPlan } from '../../src/plan/resolved-plan.ts';
import type { CheckContext } from '../../src/validate/check-context.ts';
import { runCheck } from '../../src/validate/run-check.ts';
import type { CheckOutcome, CheckSpec } from '../../src/validate/types.ts';
import { type HandMadeFlow, handMadePlan } from '../hand-made-plan.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

const opened: TestDatabase[] = [];
afterAll(() => Promise.all(opened.map((database) => database.drop())));

type Run = (spec: CheckSpec, options?: Partial<CheckContext>) => Promise<CheckOutcome>;

async function pair(sourceVersion: 14 | 15 | 18): Promise<{ source: TestDatabase; target: TestDatabase }> {
  const [source, target] = await Promise.all([createDatabase(sourceVersion), createDatabase(18)]);
  opened.push(source, target);
  return { source, target };
}

async function runner(source: TestDatabase, target: TestDatabase, plan: ResolvedPlan): Promise<Run> {
  const sessions = { source: await source.open(), target: await target.open() };
  return (spec, options) => runCheck({ ...sessions, plan, before: {}, ...options }, spec);
}

const relation = (name: string) => ({ schema: 'public', name });

test('padding of char(n) does not count where the lengths differ', async () => {
  const { source, target } = await pair(15);
  await source.exec("create table code (a char(3), b bpchar); insert into code values ('ab', 'ab ')");
  await target.exec("create table code (a char(6), b bpchar); insert into code values ('ab', 'ab ')");
  const columns = { a: ['c.a', 'bpchar'], b: ['c.b', 'bpchar'] } as HandMadeFlow['columns'];
  const plan = handMadePlan([{ from: 'code c', to: 'code', columns }]);
  plan.flows[0]!.columns[0]!.targetType = 'character(6)';
  const run = await runner(source, target, plan);
  const check = { check: 'digest', relation: relation('code') } as const;
  expect((await run(check)).findings).toEqual([]);
  await target.exec("update code set b = 'ab'");
  expect((await run(check)).evidence).toMatchObject({ missing: 1, surplus: 1 });
});

describe('several flows into one table', () => {
  const flows: HandMadeFlow[] = [
    {
      name: 'texts',
      from: 'texts t',
      to: 'chunk',
      columns: { id: "'text:' || t.id", kind: "'text'", body: 't.body -- as it is' },
    },
    {
      name: 'notes',
      from: 'notes n',
      join: 'join texts t on t.id = n.text_id -- only notes on a text',
      joinRows: 'may_lose',
      where: "n.body <> '' -- and not empty",
      to: 'chunk',
      columns: { id: "'note:' || n.id", body: 'n.body', weight: ['n.weight', 'integer'] },
    },
  ];
  let target: TestDatabase;
  let run: Run;

  beforeAll(async () => {
    const created = await pair(15);
    target = created.target;
    await created.source.exec(`
      create table texts (id int, body text); insert into texts select g, 'text ' || g from generate_series(1, 50) g;
      create table notes (id int, text_id int, body text, weight int);
      insert into notes select g, g, 'note ' || g, g from generate_series(41, 60) g;
      update notes set body = '' where id < 44`);
    await target.exec(`
      create table chunk (id text, kind text default 'note', body text, weight int, made timestamptz default now());
      insert into chunk select 'text:' || g, 'text', 'text ' || g from generate_series(1, 50) g;
      insert into chunk select 'note:' || g, 'note', 'note ' || g, g from generate_series(44, 50) g`);
    run = await runner(created.source, target, handMadePlan(flows, { chunk: ['id'] }));
  });

  const withFault = async (fault: string, check: () => Promise<CheckOutcome>): Promise<CheckOutcome> => {
    await target.exec(`create table kept as table chunk; ${fault}`);
    try {
      return await check();
    } finally {
      await target.exec('truncate chunk; insert into chunk table kept; drop table kept');
    }
  };
  const digest = () => run({ check: 'digest', relation: relation('chunk') });
  const count = (before = 0) =>
    run({ check: 'count', relation: relation('chunk') }, { before: { 'public.chunk': before } });

  test('are summed, and what one of them leaves to a constant default is expected to be that', async () => {
    expect(await digest()).toMatchObject({
      rows: 57,
      findings: [],
      evidence: { columns: 4, columnsNotCompared: 0 },
    });
    expect(await count()).toMatchObject({ rows: 57, findings: [], evidence: { expected: 57, held: 57 } });
  });

  test.each([
    [
      'a NULL that another flow fills',
      "update chunk set weight = 1 where id = 'text:3'",
      'text:3',
      'weight',
      null,
      '1',
    ],
    ['a default', "update chunk set kind = 'text' where id = 'note:50'", 'note:50', 'kind', 'note', 'text'],
  ])('%s is looked at', async (_, fault, id, column, expected, found) => {
    const outcome = await withFault(fault, digest);
    expect(outcome.findings[0]!.details).toEqual([
      { key: { id }, column, problem: 'different', expected, found },
    ]);
  });

  test('a default that is no constant is left out, and the evidence says so', async () => {
    await target.exec('alter table chunk alter weight set default length(current_user)');
    expect((await digest()).evidence).toMatchObject({ columns: 3, columnsNotCompared: 1 });
    await target.exec('alter table chunk alter weight drop default');
  });

  test('a row too few or too many shows in the count', async () => {
    const few = await withFault("delete from chunk where id = 'text:3'", count);
    expect(few.findings).toEqual([
      {
        check: 'count',
        relation: relation('chunk'),
        summary: 'public.chunk: the source yields 57 rows, the target holds 56',
        details: [],
      },
    ]);
    expect((await count(3)).findings[0]!.summary).toBe(
      'public.chunk: the source yields 57 rows, the target holds 57, 3 of them from before the run',
    );
  });

  test('are accounted for one by one', async () => {
    const loaded = {
      texts: { rowsOut: 50, rowsIn: 50, rowsQuarantined: 0 },
      notes: { rowsOut: 7, rowsIn: 7, rowsQuarantined: 0 },
    };
    expect(await run({ check: 'accounting', flow: 'texts' }, { loaded })).toEqual({
      rows: 50,
      findings: [],
      evidence: {
        driving: 50,
        outputs: 50,
        yielding: 50,
        unmatched: 0,
        filtered: 0,
        rowsOut: 50,
        rowsIn: 50,
      },
    });
    expect(await run({ check: 'accounting', flow: 'notes' }, { loaded })).toEqual({
      rows: 20,
      findings: [],
      evidence: {
        driving: 20,
        outputs: 7,
        yielding: 7,
        unmatched: 10,
        filtered: 3,
        rowsOut: 7,
        rowsIn: 7,
      },
    });
  });

  test.each([
    ['read', { rowsOut: 6, rowsIn: 6, rowsQuarantined: 0 }],
    ['wrote', { rowsOut: 7, rowsIn: 6, rowsQuarantined: 0 }],
    ['read more and wrote', { rowsOut: 8, rowsIn: 8, rowsQuarantined: 0 }],
  ])('what the loaders %s otherwise is a finding', async (_, notes) => {
    const outcome = await run({ check: 'accounting', flow: 'notes' }, { loaded: { notes } });
    expect(outcome.findings.map(({ summary }) => summary)).toEqual([
      `flow notes: the source yields 7 rows, the loaders read ${notes.rowsOut} and wrote ${notes.rowsIn}`,
    ]);
  });

  test('a flow without any loaded row counts as none loaded', async () => {
    const outcome = await run({ check: 'accounting', flow: 'notes' }, { loaded: {} });
    expect(outcome.findings).toHaveLength(1);
  });

  test('without a copy the accounting is evidence only', async () => {
    const outcome = await run({ check: 'accounting', flow: 'notes' });
    expect(outcome).toMatchObject({ findings: [], evidence: { driving: 20, outputs: 7 } });
    expect(outcome.evidence).not.toHaveProperty('rowsOut');
  });

  test('a check of an unknown flow says what to do', async () => {
    await expect(run({ check: 'accounting', flow: 'gone' })).rejects.toThrow(/flow gone/);
  });

  test('an aborted check stops', async () => {
    const signal = AbortSignal.abort(new Error('stopped'));
    await expect(run({ check: 'count', relation: relation('chunk') }, { signal })).rejects.toThrow('stopped');
  });
});

describe('accounting of a join', () => {
  let source: TestDatabase;
  let target: TestDatabase;
  const columns = { id: ['a.id', 'integer'] as [string, string] };
  const account = async (flow: Partial<HandMadeFlow>) => {
    const run = await runner(source, target, handMadePlan([{ from: 'a a', to: 'out', columns, ...flow }]));
    return (await run({ check: 'accounting', flow: 'out' })).evidence;
  };

  beforeAll(async () => {
    ({ source, target } = await pair(14));
    await source.exec(`create table a (id int); insert into a select generate_series(1, 10);
      create table b (a_id int, n int); insert into b select g, n from generate_series(1, 6) g, generate_series(1, 3) n;
      create view v as select * from a`);
  });

  test('that yields several rows counts driving rows once', async () => {
    expect(await account({ join: 'join b on b.a_id = a.id', where: 'a.id > 2' })).toEqual({
      driving: 10,
      outputs: 12,
      yielding: 4,
      unmatched: 4,
      filtered: 2,
    });
  });

  test('that keeps every driving row has none unmatched', async () => {
    expect(await account({ join: 'left join b on b.a_id = a.id' })).toEqual({
      driving: 10,
      outputs: 22,
      yielding: 10,
      unmatched: 0,
      filtered: 0,
    });
  });

  test('that would explode without its where leaves the parts out', async () => {
    await source.exec('analyze a');
    const join =
      'cross join a as a2 cross join a as a3 cross join a as a4 cross join a a5 cross join a a6 cross join a a7 cross join a a8';
    expect(
      await account({
        join,
        where:
          'a.id = 1 and a2.id = 1 and a3.id = 1 and a4.id = 1 and a5.id = 1 and a6.id = 1 and a7.id = 1 and a8.id < 3',
      }),
    ).toEqual({
      driving: 10,
      outputs: 2,
      yielding: 1,
    });
  });

  test('from a view counts what can be counted', async () => {
    const counts = await account({ from: 'v a', join: 'join b on b.a_id = a.id', hasCtid: false });
    expect(counts).toEqual({ driving: 10, outputs: 18 });
  });

  test('of a null condition counts the row as filtered', async () => {
    expect(await account({ where: 'a.id > 2 or null' })).toEqual({
      driving: 10,
      outputs: 8,
      yielding: 8,
      unmatched: 0,
      filtered: 2,
    });
  });
});

test('a collation that ignores case, or that is not settled, hides nothing', async () => {
  const { source, target } = await pair(15);
  const ci = "create collation ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
  for (const database of [source, target])
    await database.exec(`${ci}; create table word (w text collate ci, c text collate "C", b text);
      insert into word values ('a', 'A', 'aA')`);
  const columns = { w: ['w.w', 'text'], b: ['w.w || w.c', 'text'] } as HandMadeFlow['columns'];
  const run = await runner(source, target, handMadePlan([{ from: 'word w', to: 'word', columns }]));
  const check = { check: 'digest', relation: relation('word') } as const;
  expect((await run(check)).findings).toEqual([]);
  await target.exec("update word set w = 'A'");
  expect((await run(check)).evidence).toMatchObject({ missing: 1, surplus: 1 });
});

describe('a target table', () => {
  const insert = 'insert into item select g from generate_series(1, 20) g';
  const flow: HandMadeFlow = { from: 'item i', to: 'item', columns: { id: ['i.id', 'integer'] } };

  test.each([
    [
      'with partitions is compared with the rows of all of them',
      `create table item (id int primary key) partition by range (id);
       create table low partition of item for values from (1) to (11);
       create table high partition of item for values from (11) to (21)`,
      'delete from high where id = 12',
    ],
    [
      'with inheriting tables is compared without their rows',
      `create table item (id int primary key); create table heir () inherits (item);
       insert into heir values (1), (99)`,
      'delete from only item where id = 12',
    ],
  ])('%s', async (_, ddl, fault) => {
    const { source, target } = await pair(15);
    await source.exec(`create table item (id int); ${insert}`);
    await target.exec(`${ddl}; ${insert}`);
    const run = await runner(source, target, handMadePlan([flow], { item: ['id'] }));
    const both = async () => {
      const count = await run({ check: 'count', relation: relation('item') });
      const digest = await run({ check: 'digest', relation: relation('item') });
      return [...count.findings, ...digest.findings];
    };
    expect(await both()).toEqual([]);
    await target.exec(fault);
    expect((await both()).map(({ summary, details }) => [summary, details])).toEqual([
      ['public.item: the source yields 20 rows, the target holds 19', []],
      [
        'public.item: rows differ from what the source yields: 1 missing',
        [{ key: { id: '12' }, problem: 'missing' }],
      ],
    ]);
  });

  test('is compared with what the source holds now, not with what it held when it was copied', async () => {
    const { source, target } = await pair(15);
    for (const database of [source, target]) await database.exec(`create table item (id int); ${insert}`);
    const run = await runner(source, target, handMadePlan([flow], { item: ['id'] }));
    await source.exec('insert into item values (21)');
    const late = await run({ check: 'digest', relation: relation('item') });
    expect(late.findings[0]!.details).toEqual([{ key: { id: '21' }, problem: 'missing' }]);
    const loaded = { item: { rowsOut: 20, rowsIn: 20, rowsQuarantined: 0 } };
    expect((await run({ check: 'accounting', flow: 'item' }, { loaded })).findings).toHaveLength(1);
  });
});

describe('a table without columns', () => {
  test('is compared by its number of rows', async () => {
    const { source, target } = await pair(18);
    await source.exec(
      'create table nothing (); insert into nothing default values; insert into nothing default values',
    );
    await target.exec('create table nothing (); insert into nothing default values');
    const run = await runner(
      source,
      target,
      handMadePlan([{ from: 'nothing n', to: 'nothing', columns: {} }]),
    );
    const outcome = await run({ check: 'digest', relation: relation('nothing') });
    expect(outcome.evidence).toMatchObject({ expected: 2, found: 1, missing: 1 });
    await target.exec('insert into nothing default values');
    expect((await run({ check: 'digest', relation: relation('nothing') })).findings).toEqual([]);
  });
});

describe('relationships', () => {
  let target: TestDatabase;
  let run: Run;
  beforeAll(async () => {
    const created = await pair(18);
    target = created.target;
    await target.exec(`create table parent (id int); insert into parent values (1), (2), (2);
      create table child (id int, parent_id int); insert into child values (1, 1), (2, 3), (3, 3), (4, 4), (5, null)`);
    run = await runner(created.source, target, handMadePlan([]));
  });
  const duplicates: CheckSpec = {
    check: 'duplicates',
    relation: relation('parent'),
    name: 'parent_pkey',
    uniqueKey: { expressions: ['id'], nullsNotDistinct: false },
  };

  test('list the orphans of a foreign key', async () => {
    const outcome = await run({
      check: 'orphans',
      relation: relation('child'),
      name: 'child_parent_fk',
      foreignKey: {
        columns: ['parent_id'],
        references: relation('parent'),
        referencedColumns: ['id'],
        match: 'simple',
        period: false,
      },
    });
    expect(outcome).toEqual({
      rows: 5,
      evidence: { orphans: 2 },
      findings: [
        {
          check: 'orphans',
          relation: relation('child'),
          summary: 'public.child: foreign key child_parent_fk does not find 2 keys in public.parent',
          details: [
            { key: { parent_id: '3' }, problem: 'orphan' },
            { key: { parent_id: '4' }, problem: 'orphan' },
          ],
        },
      ],
    });
  });

  test('list the duplicates of a unique key', async () => {
    expect(await run(duplicates)).toEqual({
      rows: 3,
      evidence: { duplicates: 1 },
      findings: [
        {
          check: 'duplicates',
          relation: relation('parent'),
          summary: 'public.parent: 1 key of parent_pkey is there more than once',
          details: [{ key: { id: '2' }, problem: 'duplicate' }],
        },
      ],
    });
  });

  test('take a unique index that stands for proof', async () => {
    await target.exec('delete from parent where id = 2; alter table parent add primary key (id)');
    expect(await run(duplicates)).toEqual({ rows: 0, findings: [], evidence: { provenByIndex: 1 } });
  });
});
