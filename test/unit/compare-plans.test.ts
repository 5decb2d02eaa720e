import { expect, it } from 'vitest';
import { comparePlans, continued, otherMigration } from '../../src/plan/compare-plans.ts';
import { planHash } from '../../src/plan/hash.ts';
import type { Throttle } from '../../src/plan/plan.ts';
import type { ResolvedColumn, ResolvedFlow, ResolvedPlan } from '../../src/plan/resolved-plan.ts';
import { restarting } from '../../src/plan/restarting.ts';
import type { ResolvedTransform } from '../../src/transform/types.ts';
import { type HandMadeFlow, handMadePlan } from '../hand-made-plan.ts';

const flow: HandMadeFlow = { from: 'a x', to: 'b', columns: { id: 'x.id', name: ['x.name', 'varchar(12)'] } };
const planOf = (change: Partial<HandMadeFlow> = {}): ResolvedPlan =>
  handMadePlan([{ ...flow, ...change }], { b: ['id'] });
const before = planOf();

/** The plan with a column resolved otherwise, as after a change of a table. */
function retyped(change: Partial<ResolvedColumn>): ResolvedPlan {
  const [only] = before.flows;
  const columns = only!.columns.map((column) => (column.name === 'name' ? { ...column, ...change } : column));
  return { ...before, flows: [{ ...only!, columns }] };
}

const lookup = { relation: { schema: 'public', name: 'c' }, by: [], take: 'id', missing: 'error' as const };
const regrouped = (by: string[]): ResolvedPlan => ({
  ...before,
  flows: before.flows.map((each) => ({ ...each, grouping: { kind: 'group', by } })),
});

it.each<[string, ResolvedPlan, string, 'same' | 'values' | 'keys']>([
  ['a column of the key', planOf({ columns: { ...flow.columns, id: '-x.id' } }), 'column id', 'keys'],
  [
    'another column',
    planOf({ columns: { ...flow.columns, name: 'upper(x.name)' } }),
    'column name',
    'values',
  ],
  ['a column more', planOf({ columns: { ...flow.columns, more: 'x.more' } }), 'column more', 'values'],
  ['a column less', planOf({ columns: { id: 'x.id' } }), 'column name', 'values'],
  ['a where', planOf({ where: 'x.id > 5' }), 'where', 'keys'],
  ['a join', planOf({ join: 'join c on true' }), 'join', 'keys'],
  ['an alias', planOf({ from: 'a y' }), 'alias', 'same'],
  ['a wider type', retyped({ targetType: 'varchar(40)' }), 'column name', 'same'],
  ['another lookup', retyped({ lookup: { ...lookup, take: 'other' } }), 'column name', 'values'],
  ['another group', regrouped(['x.id', 'x.name']), 'group_by', 'keys'],
  ['a finer type', retyped({ compareExpression: 'round(x.name, 4)' }), 'column name', 'values'],
])('what is loaded again for %s', (_, after, what, rows) => {
  expect(comparePlans(before, after)).toMatchObject([{ flow: 'b', what, rows }]);
});

it('another code, input or constant of a transform makes other rows, and another rate does not', () => {
  const [only] = before.flows;
  const transform: ResolvedTransform = {
    ...{ file: 'a.ts', export: 'b', hash: 'abcdef0123456789', constants: { n: 1 }, output: [] },
    input: [
      { name: 'id', expression: 'x.id', type: 'int', value: { name: 'int4', array: false }, nullable: true },
    ],
  };
  const having = (change: Partial<ResolvedTransform> = {}) => ({
    ...before,
    flows: [{ ...only!, transform: { ...transform, ...change } }],
  });
  const was = 'a.ts#b (abcdef012345), constants {"n":1}';
  const input = transform.input.map((each) => ({ ...each, expression: '-x.id' }));
  expect(comparePlans(having(), having())).toEqual([]);
  expect(comparePlans(having(), having({ hash: 'f', chunk: 9, callsPerSecond: 5, input }))).toEqual([
    {
      flow: 'b',
      what: 'transform',
      before: was,
      after: 'a.ts#b (f), chunk 9, constants {"n":1}',
      rows: 'keys',
    },
    { flow: 'b', what: 'calls_per_second', before: null, after: '5', rows: 'same' },
    { flow: 'b', what: 'input id', before: 'x.id (int)', after: '-x.id (int)', rows: 'keys' },
  ]);
  expect(comparePlans(before, having())[0]).toMatchObject({ what: 'transform', before: null, after: was });
});

it('settings change nothing about rows, and are called as in the plan', () => {
  const settings = { ...before.settings, batchTimeoutMs: 5, quarantineLimit: { ratio: 0.01, rows: 1000 } };
  expect(comparePlans(before, { ...before, settings })).toEqual([
    { flow: null, what: 'timeout_per_batch (ms)', before: '30000', after: '5', rows: 'same' },
  ]);
});

it('what throttles a run is written as in the plan', () => {
  const withThrottle = (throttle: Throttle) => ({ ...before, settings: { ...before.settings, throttle } });
  const one = withThrottle({ disk_full: { limit: 0, atMostMs: 900_000 } });
  const other = withThrottle({
    replication_lag: { limit: 90, atMostMs: 60_000 },
    disk_full: { limit: 0, atMostMs: 30_000 },
    target_gb: { limit: 5, atMostMs: 30_000 },
  });
  expect(comparePlans(one, other)).toMatchObject([
    { what: 'throttle.replication_lag', before: 'off', after: '{limit: 90s, at_most: 1m}', rows: 'same' },
    { what: 'throttle.disk', before: '{at_most: 15m}', after: '{target_gb: 5, at_most: 30s}' },
  ]);
});

it('keys that the run has taken down are known from before', () => {
  const down = { ...before, allowNonEmpty: true, targets: before.targets.map((t) => ({ ...t, key: [] })) };
  expect(planHash(continued(before, down))).toBe(planHash(before));
});

it('another database, another table or another flow is another migration', () => {
  const elsewhere = { ...before, source: { ...before.source, identity: 'other' } };
  expect(otherMigration(before, elsewhere)).toBe('its source is another database');
  expect(otherMigration(before, planOf({ to: 'c', name: 'b' }))).toBe(
    'flow b fills public.c, and filled public.b',
  );
  expect(otherMigration(before, planOf({ name: 'renamed' }))).toBe('flow b is gone');
  expect(otherMigration(before, handMadePlan([flow, { ...flow, name: 'more' }]))).toBe('flow more is new');
  expect(otherMigration(before, planOf({ where: 'x.id > 5' }))).toBeUndefined();
});

it.each<[string, Partial<ResolvedFlow>]>([
  ['fuses rows', { fusion: { rule: 'skip', key: ['id'], order: [], ordinal: 0 } }],
  ['is cut by key', { grouping: { kind: 'group', by: ['x.id'], rangeColumn: 'id' } }],
  ['is read together with another', { readWith: { flow: 'b', leader: 'a', where: '', own: '' } }],
])('a flow that %s only now is of another migration', (_, change) => {
  const after = { ...before, flows: before.flows.map((each) => ({ ...each, ...change })) };
  expect(otherMigration(before, after)).toMatch(/^flow b /);
});

it('with a flow begins again all that hangs on what it filled', () => {
  const plan = handMadePlan(
    ['fills', 'beside', 'reads', 'looks', 'ids', 'uses', 'other'].map((name) => ({
      ...{ name, from: `${name} x`, columns: { id: 'x.id' } },
      to: name === 'beside' ? 'fills' : name,
    })),
    {},
  );
  const change = (name: string, of: Partial<ResolvedFlow>) =>
    Object.assign(plan.flows.find((each) => each.name === name)!, of);
  const looking = (name: string): Partial<ResolvedFlow> => ({
    columns: [{ ...plan.flows[0]!.columns[0]!, lookup: { ...lookup, relation: { schema: 'public', name } } }],
  });
  change('reads', { readWith: { flow: 'both', leader: 'beside', where: '', own: '' } });
  change('beside', { readWith: { flow: 'both', leader: 'beside', where: '', own: '' } });
  change('looks', looking('reads'));
  change('ids', { idMap: { name: 'ids', new: 'uuid' } });
  change('uses', looking('ids'));
  const names = (of: string[]) => restarting(plan, of).map(({ name }) => name);
  expect(names(['fills'])).toEqual(['fills', 'beside', 'reads', 'looks']);
  expect(names(['ids'])).toEqual(['ids']);
});
