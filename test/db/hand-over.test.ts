import { expect, onTestFinished, test } from 'vitest';
import { findRow } from '../../src/copy/mend/find-row.ts';
import type { SentRow } from '../../src/ledger/sent-rows.ts';
import { inTransaction } from '../../src/pg/transaction.ts';
import { planQuery } from '../../src/plan/sql/query.ts';
import { blockRange, copyOutStatement } from '../../src/plan/statements/select.ts';
import { withoutRows } from '../../src/plan/statements/without-rows.ts';
import { runCheck } from '../../src/validate/run-check.ts';
import { resolveGood } from '../plan.ts';
import { createDatabase } from '../postgres.ts';
import { statementsOf } from '../statements.ts';

test.each([14, 18] as const)('values of rows stand in no statement: PostgreSQL %i', async (version) => {
  const [source, target] = [await createDatabase(version), await createDatabase(18)];
  onTestFinished(async () => void (await Promise.all([source.drop(), target.drop()])));
  await source.exec(`
    create table book (isbn text, part int, title text, primary key (isbn, part));
    insert into book select 'secret ' || i, i, 'title ' || i from generate_series(1, 200) i;
    create table note (t text);
    insert into note values ('secret'' note')`);
  await target.exec(`
    create table book (isbn text, part int, title text, primary key (isbn, part));
    insert into book select 'secret ' || i, i, case i when 7 then 'by hand, secret' else 'title ' || i end
      from generate_series(1, 200) i where i <> 9;
    create table note (t text)`);
  const plan = await resolveGood(source, target, 'allow_non_empty: true\ntables: [book, note]');
  const [book, note] = ['book', 'note'].map((name) => plan.flows.find((flow) => flow.target.name === name)!);
  // As long as a plan may name a flow: what is handed over is kept under that name.
  book!.name = '🚚'.repeat(200);
  const sessions = { source: await source.open(), target: await target.open() };
  const texts = statementsOf(sessions.source);

  const keyOf = (i: number) => ({ isbn: `secret ${i}`, part: String(i) });
  const excluded = { keys: [keyOf(7), keyOf(9)], tids: [], driving: 2 };
  const edited = { [book!.name]: [{ ...keyOf(7), title: 'by hand, secret' }] };
  const spec = { check: 'digest', relation: book!.target } as const;
  const checked = await runCheck(
    { ...sessions, plan, before: {}, excluded: { [book!.name]: excluded }, edited },
    spec,
  );
  expect(checked).toMatchObject({ rows: 199, findings: [] });

  const read = () =>
    inTransaction(
      sessions.source,
      'repeatable read, read only',
      async () => {
        await sessions.source.query(
          `set local ${version < 16 ? 'force_parallel_mode' : 'debug_parallel_query'} = on`,
        );
        const flow = await withoutRows(sessions.source, book!, excluded);
        expect(copyOutStatement(flow, blockRange(flow.leaves[0]!, 0, null))).not.toContain('secret');
        const { rows } = await planQuery(
          sessions.source,
          `select count(*)::int as n from book as ${flow.alias} where ${flow.where}`,
        );
        const found = [
          await findRow(sessions.source, book!, { sourceKey: keyOf(8) } as unknown as SentRow),
          await findRow(sessions.source, note!, {
            ...{ sourceKey: null, sourceRow: `{"t":"secret' note"}`, leaf: 0, tid: '(0,1)' },
          } as SentRow),
        ];
        return [rows[0]!.n, ...found.map(({ kind }) => kind)];
      },
      { searchPath: ['public'] },
    );
  expect(await read()).toEqual([198, 'there', 'there']);
  expect(texts.length).toBeGreaterThan(8);
  expect(texts.filter((text) => text.includes('secret'))).toEqual([]);
});
