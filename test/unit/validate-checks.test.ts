import { expect, test } from 'vitest';
import type { CapturedObject } from '../../src/constraints/types.ts';
import type { ResolvedFlow, ResolvedPlan } from '../../src/plan/resolved-plan.ts';
import { planChecks } from '../../src/validate/checks.ts';

const flow = (name: string, target: string) =>
  ({
    name,
    target: { schema: 'public', name: target },
    columns: [] as ResolvedFlow['columns'],
  }) as ResolvedFlow;
const plan = { flows: [flow('a', 'one'), flow('b', 'one'), flow('c', 'two')] } as ResolvedPlan;

const relation = { schema: 'public', name: 'one' };
const references = { schema: 'public', name: 'two' };
const uniqueKey = { expressions: ['id'], nullsNotDistinct: false };
const foreignKey = {
  columns: ['two_id'],
  references,
  referencedColumns: ['id'],
  match: 'simple' as const,
  period: false,
};

function captured(kind: CapturedObject['kind'], more: Partial<CapturedObject>): CapturedObject {
  const bringBack = [
    'alter table public.one add constraint c foreign key (two_id) references public.two (id)',
  ];
  return { kind, relation, name: 'c', phase: 'constrain', order: 0, takeDown: ['drop'], bringBack, ...more };
}

const relationships = (object: CapturedObject) =>
  planChecks(plan, 'standard', [object]).filter(({ check }) => check === 'orphans' || check === 'duplicates');

test('basic accounts for each flow and counts each target table once', () => {
  expect(planChecks(plan, 'basic', [captured('foreign key', { foreignKey })])).toEqual([
    { check: 'accounting', flow: 'a' },
    { check: 'accounting', flow: 'b' },
    { check: 'accounting', flow: 'c' },
    { check: 'count', relation },
    { check: 'count', relation: references },
  ]);
});

test('standard adds a digest of each target table', () => {
  const added = planChecks(plan, 'standard', []).slice(planChecks(plan, 'basic', []).length);
  expect(added).toEqual([
    { check: 'digest', relation },
    { check: 'digest', relation: references },
  ]);
});

test('standard looks for orphans and duplicates of what was taken down', () => {
  expect(relationships(captured('foreign key', { foreignKey }))).toEqual([
    { check: 'orphans', relation, name: 'c', foreignKey },
  ]);
  expect(relationships(captured('primary key', { uniqueKey }))).toEqual([
    { check: 'duplicates', relation, name: 'c', uniqueKey },
  ]);
});

test.each([
  ['a key that stayed up', captured('unique', { uniqueKey, takeDown: [] })],
  ['a temporal foreign key', captured('foreign key', { foreignKey: { ...foreignKey, period: true } })],
  [
    'a NOT VALID foreign key',
    captured('foreign key', {
      foreignKey,
      bringBack: [
        'alter table public.one add constraint c foreign key (two_id) references public.two (id) NOT VALID',
        "comment on constraint c on public.one is 'old'",
      ],
    }),
  ],
  ['an index that is not unique', captured('index', {})],
  ['a foreign key without a definition to check', captured('foreign key', {})],
])('%s needs no check', (_, object) => {
  expect(relationships(object)).toEqual([]);
});

test('a comment that says so does not make a foreign key NOT VALID', () => {
  const bringBack = ["comment on constraint c on public.one is 'once NOT VALID'"];
  expect(relationships(captured('foreign key', { foreignKey, bringBack }))).toHaveLength(1);
});
