import { expect, onTestFinished, test } from 'vitest';
import { KeyHalver, type NarrowedRange } from '../../src/copy/corner/halve-key.ts';
import type { Session } from '../../src/pg/session.ts';
import { inTransaction } from '../../src/pg/transaction.ts';
import type { ResolvedFlow } from '../../src/plan/resolved-plan.ts';
import { planQuery } from '../../src/plan/sql/query.ts';
import { type UnitKey, unitRange, withoutUnits } from '../../src/plan/statements/key-units.ts';
import { rangeConditions, selectRows } from '../../src/plan/statements/select.ts';
import { handMadePlan } from '../hand-made-plan.ts';
import { createDatabase } from '../postgres.ts';
import { statementsOf } from '../statements.ts';

// Equal values that are written differently, NULL in each part, blanks that pad, one value in most of the rows.
const lines = `
  create table line (k text, c char(4), n numeric);
  insert into line
  select case when i % 7 = 0 then null when i % 3 = 0 then 'secret ' || i % 5 else 'secret' end,
         case when i % 11 > 0 then substr('abcd', 1, i % 4) end, nullif(i % 2, 0) * case when i % 4 = 1 then 1.0 else 1.00 end
    from generate_series(1, 2000) i`;

const flow: ResolvedFlow = {
  ...handMadePlan([{ from: 'line l', to: 'total', columns: { k: 'l.k' } }]).flows[0]!,
  grouping: { kind: 'group', by: ['l.k', 'l.c', 'l.n'] },
};

/** Cuts a range until each unit stands alone; tells how often. */
async function cutAll(session: Session): Promise<{ alone: [UnitKey, NarrowedRange][]; cuts: number }> {
  const halver = new KeyHalver(session, flow);
  const alone: [UnitKey, NarrowedRange][] = [];
  const open: NarrowedRange[] = [{ from: null, to: null }];
  for (let cuts = 0; ; cuts++) {
    const range = open.pop();
    if (range === undefined) return { alone, cuts };
    const cut = await halver.halve(range, new Error('refused'));
    if (cut.kind === 'halves') open.push(...cut.halves);
    else if (cut.kind === 'alone') alone.push([cut.key, range]);
    else throw new Error('a half is empty');
  }
}

test.each([14, 18] as const)(
  'ranges are cut between groups until each stands alone, is found and left out by its key: PostgreSQL %i',
  async (version) => {
    const source = await createDatabase(version);
    onTestFinished(() => source.drop());
    await source.exec(lines);
    const session = await source.open();
    const { grouping: _, ...ungrouped } = flow;
    const texts = statementsOf(session);
    const count = async (conditions: string[]): Promise<number> => {
      const rows = selectRows(ungrouped, ['1'], { conditions });
      return Number(
        (await planQuery<{ n: string }>(session, `select count(*) as n from (${rows}) r`)).rows[0]!.n,
      );
    };
    const groups = await source.query<{ n: number }>(
      'select count(*)::int as n from line group by k, c, n order by 1',
    );
    await inTransaction(
      session,
      'repeatable read, read only',
      async () => {
        const { alone, cuts } = await cutAll(session);
        expect(alone).toHaveLength(groups.rows.length);
        expect(cuts).toBe(2 * alone.length - 1);
        const sizes: number[] = [];
        for (const [key, range] of alone) {
          const n = await count(rangeConditions('l', range));
          expect(await count(rangeConditions('l', await unitRange(session, flow, key)))).toBe(n);
          sizes.push(n);
        }
        expect(sizes.sort((a, b) => a - b)).toEqual(groups.rows.map(({ n }) => n));
        const some = alone.filter((_, i) => i % 3 !== 0);
        const rest = alone.filter((_, i) => i % 3 === 0);
        const left = await count(
          await withoutUnits(
            session,
            flow,
            some.map(([key]) => key),
          ),
        );
        let expected = 0;
        for (const [key] of rest)
          expected += await count(rangeConditions('l', await unitRange(session, flow, key)));
        expect(left).toBe(expected);
        await expect(unitRange(session, flow, { 'l.k': 'x' })).rejects.toMatchObject({
          code: 'GROUP_UNKNOWN',
        });
      },
      { searchPath: ['public'] },
    );
    expect(texts.length).toBeGreaterThan(100);
    expect(texts.filter((text) => text.includes('secret'))).toEqual([]);
  },
);
