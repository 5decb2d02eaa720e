import { expect, test } from 'vitest';
import { safeMessage } from '../../src/pg/errors.ts';
import type { ResolvedColumn, ResolvedFlow } from '../../src/plan/resolved-plan.ts';
import { landFromStage, stageDefinition } from '../../src/plan/statements/stage.ts';

const column = (name: string): ResolvedColumn => ({
  name,
  ...{ expression: name, copyExpression: name, compareExpression: name },
  ...{ sourceType: 'text', targetType: 'text', digest: 'native', notNull: false },
});

const relation = { schema: 'public', name: 'rate' };
const flow = {
  target: { schema: 'public', name: 'price' },
  columns: [
    column('State'),
    { ...column('rate'), lookup: { relation, by: [column('c'), column('d')], take: 'v', missing: 'error' } },
    column('d'),
  ],
} as unknown as ResolvedFlow;

test('a stage has the target’s names, so that what is refused there is named by the column of the plan', () => {
  expect(stageDefinition(flow)).toBe('"State" text, "rate" text, "rowfleet_key_2_2" text, "d" text');
  expect(landFromStage(flow, 'pg_temp.s', flow.target)).toMatch(
    /select s\."State", l2\."v", s\."d" from pg_temp\.s s left join "public"\."rate" as l2 on l2\."c" = s\."rate" and l2\."d" = s\."rowfleet_key_2_2"/,
  );
  const refused = Object.assign(new Error('invalid input value: "lost"'), {
    ...{ name: 'error', severity: 'ERROR', code: '22P02', length: 1 },
    where: 'COPY rowfleet_load_1, line 2, column State: "lost"',
  });
  expect(safeMessage(refused)).toBe(
    'invalid text representation (SQLSTATE 22P02): column State, line 2 of the batch',
  );
});
