import { display } from '../pg/quote.ts';
import { canonical } from './hash.ts';
import type { Throttle, ThrottleMeasure } from './plan.ts';
import { writtenTransform } from './read/transform.ts';
import type { ResolvedColumn, ResolvedFlow, ResolvedPlan } from './resolved-plan.ts';
import { isCutByKey, rangeColumnOf } from './statements/select.ts';
import { waitsFor } from './waits.ts';

/** One thing that is different in a mended plan. */
export interface PlanChange {
  /** Null for a setting. */
  flow: string | null;
  /** `column name`, `where`, `join`, `quarantine_limit`. */
  what: string;
  before: string | null;
  after: string | null;
  /** What it means for rows that were loaded: nothing, other values under the same keys, or other rows. */
  rows: 'same' | 'values' | 'keys';
}

/** Why a plan is not another revision of `before` but another migration; undefined where it is one. */
export function otherMigration(before: ResolvedPlan, after: ResolvedPlan): string | undefined {
  for (const side of ['source', 'target'] as const)
    if (before[side].identity !== after[side].identity) return `its ${side} is another database`;
  const names = ({ flows }: ResolvedPlan) => flows.map(({ name }) => name);
  const gone = names(before).find((name) => !names(after).includes(name));
  if (gone !== undefined) return `flow ${gone} is gone`;
  const added = names(after).find((name) => !names(before).includes(name));
  if (added !== undefined) return `flow ${added} is new`;
  for (const flow of after.flows) {
    const was = before.flows.find(({ name }) => name === flow.name)!;
    if (display(was.target) !== display(flow.target))
      return `flow ${flow.name} fills ${display(flow.target)}, and filled ${display(was.target)}`;
    const places = ({ driving, only, leaves }: ResolvedFlow) =>
      [driving.oid, only, ...leaves.map(({ oid }) => oid)].join();
    if (places(was) !== places(flow))
      return `flow ${flow.name} reads other tables or partitions than ${display(was.driving)} had`;
    const other = otherShape(before, was, after, flow);
    if (other !== undefined) return `flow ${flow.name} ${other}`;
  }
  return undefined;
}

/** What of a flow was settled before its first batch, and is different; undefined where nothing is. */
function otherShape(
  before: ResolvedPlan,
  was: ResolvedFlow,
  after: ResolvedPlan,
  flow: ResolvedFlow,
): string | undefined {
  const differs = (of: (plan: ResolvedPlan, flow: ResolvedFlow) => unknown) =>
    canonical(of(before, was) ?? null) !== canonical(of(after, flow) ?? null);
  if (differs((_, { readWith }) => readWith?.leader)) return 'is read with other outputs than it was';
  if (differs((_, each) => [isCutByKey(each), rangeColumnOf(each)])) return 'is cut into batches otherwise';
  if (differs(waitsFor)) return 'looks values up in what other flows fill';
  if (differs((_, { idMap, columns }) => idMap && [idMap, columns.map(({ targetType }) => targetType)]))
    return 'makes new ids of another kind, or of keys of other types';
  const candidates = (_: ResolvedPlan, { fusion, columns }: ResolvedFlow) =>
    fusion && [
      fusion.rule,
      fusion.key,
      ...[...columns, ...fusion.order.map(({ column }) => column)].map(shape),
    ];
  const shape = ({ name, targetType }: ResolvedColumn) => [name, targetType];
  const direction = (_: ResolvedPlan, { fusion }: ResolvedFlow) =>
    fusion?.order.map(({ descending, nullsFirst }) => [descending, nullsFirst]);
  if (differs(candidates) || differs(direction)) return 'makes one row of several otherwise';
  return undefined;
}

/** The plan as it can go on in a run: what the run itself has taken down is known from before. */
export function continued(before: ResolvedPlan, after: ResolvedPlan): ResolvedPlan {
  return {
    ...after,
    allowNonEmpty: before.allowNonEmpty,
    flows: before.flows.map((was) => ({
      ...after.flows.find(({ name }) => name === was.name)!,
      drivingKey: was.drivingKey,
    })),
    targets: before.targets.map((was) => {
      const is = after.targets.find((target) => display(target) === display(was))!;
      return is.key.length > 0 ? is : { ...is, key: was.key };
    }),
  };
}

const named = (columns: ResolvedColumn[], name: string) => columns.find((column) => column.name === name);

function columnChanges(before: ResolvedFlow, after: ResolvedFlow, key: string[]): PlanChange[] {
  const names = [...new Set([...before.columns, ...after.columns].map(({ name }) => name))];
  return names.flatMap((name) => {
    const [was, is] = [named(before.columns, name), named(after.columns, name)];
    const change = { flow: after.name, what: `column ${name}`, rows: key.includes(name) ? 'keys' : 'values' };
    if (was === undefined || is === undefined || was.expression !== is.expression)
      return [{ ...change, before: was?.expression ?? null, after: is?.expression ?? null } as PlanChange];
    if (canonical(was.lookup ?? null) !== canonical(is.lookup ?? null))
      return [{ ...change, before: lookupText(was), after: lookupText(is) } as PlanChange];
    const means = (column: ResolvedColumn) => `${column.copyExpression} ${column.compareExpression}`;
    if (was.targetType === is.targetType && means(was) === means(is)) return [];
    const rows = means(was) === means(is) ? 'same' : change.rows;
    const typed = ({ sourceType, targetType }: ResolvedColumn) => `${sourceType} into ${targetType}`;
    return [{ ...change, before: typed(was), after: typed(is), rows } as PlanChange];
  });
}

/** What makes a flow's rows, on one line; null where expressions do. */
function transformText({ transform }: ResolvedFlow): string | null {
  if (transform === undefined) return null;
  const { hash, chunk, constants } = transform;
  const parts = [
    `${writtenTransform(transform)} (${hash.slice(0, 12)})`,
    ...(chunk === undefined ? [] : [`chunk ${chunk}`]),
    ...(constants === undefined ? [] : [`constants ${canonical(constants)}`]),
  ];
  return parts.join(', ');
}

/** A function may make anything of anything: where it or its input changes, other rows may come out. */
function transformChanges(before: ResolvedFlow, after: ResolvedFlow): PlanChange[] {
  const [was, is] = [before, after].map(({ transform }) => ({
    input: new Map(transform?.input.map(({ name, expression, type }) => [name, `${expression} (${type})`])),
    rate: transform?.callsPerSecond?.toString() ?? null,
  }));
  const names = [...new Set([...was!.input.keys(), ...is!.input.keys()])];
  const changes: Omit<PlanChange, 'flow'>[] = [
    { what: 'transform', before: transformText(before), after: transformText(after), rows: 'keys' },
    { what: 'calls_per_second', before: was!.rate, after: is!.rate, rows: 'same' },
    ...names.map((name) => ({
      what: `input ${name}`,
      before: was!.input.get(name) ?? null,
      after: is!.input.get(name) ?? null,
      rows: 'keys' as const,
    })),
  ];
  return changes
    .filter((change) => change.before !== change.after)
    .map((change) => ({ flow: after.name, ...change }));
}
const lookupText = ({ lookup, expression }: ResolvedColumn): string =>
  lookup === undefined ? expression : `${lookup.take} of ${expression}, missing: ${lookup.missing}`;

/** What decides which rows there are, beside join and where, as the plan says it. */
const settled = {
  group_by: ({ grouping }: ResolvedFlow) => grouping && [grouping.kind, grouping.by],
  order: ({ fusion }: ResolvedFlow) => fusion?.order.map(({ column }) => column.expression),
};

function flowChanges(before: ResolvedFlow, after: ResolvedFlow, key: string[]): PlanChange[] {
  const clauses = (['alias', 'join', 'where'] as const).flatMap((what): PlanChange[] =>
    before[what] === after[what]
      ? []
      : [
          {
            flow: after.name,
            what,
            before: before[what] || null,
            after: after[what] || null,
            rows: what === 'alias' ? 'same' : 'keys',
          },
        ],
  );
  const others = Object.entries(settled).flatMap(([what, of]): PlanChange[] => {
    const [was, is] = [before, after].map((flow) => canonical(of(flow) ?? null)) as [string, string];
    return was === is ? [] : [{ flow: after.name, what, before: was, after: is, rows: 'keys' }];
  });
  return [...clauses, ...others, ...transformChanges(before, after), ...columnChanges(before, after, key)];
}

/** A setting as the plan file calls it. */
const keyOf = (name: string): string =>
  name === 'batchTimeoutMs'
    ? 'timeout_per_batch (ms)'
    : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const spoken = (ms: number): string => (ms % 60_000 === 0 ? `${ms / 60_000}m` : `${ms / 1000}s`);

/** A measure that a run is held back by, as the plan file writes it. */
function throttleText(throttle: Throttle, measure: string): string {
  if (measure === 'disk') {
    const { target_gb: limit, disk_full: full } = throttle;
    if (limit === undefined && full === undefined) return 'off';
    const least = limit === undefined ? '' : `target_gb: ${limit.limit}, `;
    return `{${least}at_most: ${spoken((limit ?? full)?.atMostMs ?? 0)}}`;
  }
  const one = throttle[measure as ThrottleMeasure];
  if (one === undefined) return 'off';
  const limit = measure === 'replication_lag' ? spoken(one.limit * 1000) : one.limit;
  return `{limit: ${limit}, at_most: ${spoken(one.atMostMs)}}`;
}

function throttleChanges(before: Throttle, after: Throttle): PlanChange[] {
  return ['replication_lag', 'wal_to_archive', 'vacuum', 'source_sessions', 'disk']
    .map((measure) => ({
      ...{ flow: null, what: `throttle.${measure}`, rows: 'same' as const },
      before: throttleText(before, measure),
      after: throttleText(after, measure),
    }))
    .filter((change) => change.before !== change.after);
}

function settingChanges(before: ResolvedPlan, after: ResolvedPlan): PlanChange[] {
  const names = [...new Set([...Object.keys(before.settings), ...Object.keys(after.settings)])];
  const text = ({ settings }: ResolvedPlan, name: string): string | null => {
    const value = (settings as unknown as Record<string, unknown>)[name];
    return value === undefined ? null : canonical(value);
  };
  const others = names
    .filter((name) => name !== 'throttle' && text(before, name) !== text(after, name))
    .map(
      (name): PlanChange => ({
        flow: null,
        what: keyOf(name),
        before: text(before, name),
        after: text(after, name),
        rows: 'same',
      }),
    );
  return [...others, ...throttleChanges(before.settings.throttle ?? {}, after.settings.throttle ?? {})];
}

/** What is different between two revisions of a plan, flow by flow, then in its settings. */
export function comparePlans(before: ResolvedPlan, after: ResolvedPlan): PlanChange[] {
  const flows = after.flows.flatMap((flow) => {
    const was = before.flows.find(({ name }) => name === flow.name)!;
    const key = after.targets.find((target) => display(target) === display(flow.target))?.key ?? [];
    return flowChanges(was, flow, key);
  });
  return [...flows, ...settingChanges(before, after)];
}
