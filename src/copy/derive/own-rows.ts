import { usageError } from '../../errors.ts';
import { display, ident } from '../../pg/quote.ts';
import type { ResolvedColumn, ResolvedFlow, ResolvedPlan } from '../../plan/resolved-plan.ts';
import { bareLiteral } from '../../plan/sql/text.ts';
import type { Scope } from './scope.ts';

/** How the target rows that a scope accounts for are found. */
export interface OwnRows {
  /** Columns of the target that tell its rows apart, all filled by the flow; empty: the table is filled anew as a whole. */
  key: string[];
  /** The columns that hold the driving key unchanged, in its order; empty where the scope needs none. */
  lineage: ResolvedColumn[];
  /** Conditions over the target's alias `t` that hold for this flow's rows only. */
  conditions: string[];
}

const integer = /^(smallint|integer|bigint)$/;
const unbounded = /^(text|character varying)$/;

/** Whether no two values of the source's type become one of the target's, and each reads the same as text on both sides. */
export function keepsApart({ sourceType, targetType, digest }: ResolvedColumn): boolean {
  const isText = /^(text|character varying)/.test(sourceType) || unbounded.test(targetType);
  // Native: compared by bytes on both sides, which have one encoding.
  if (isText && digest !== 'native') return false;
  if (sourceType === targetType) return true;
  if (integer.test(sourceType))
    return integer.test(targetType) || targetType === 'numeric' || unbounded.test(targetType);
  return unbounded.test(targetType) && /^(text|character varying(\(\d+\))?|uuid)$/.test(sourceType);
}

const orderedAlike =
  /^(smallint|integer|bigint|numeric(\(.*\))?|uuid|date|timestamp(\(\d\))? with(out)? time zone|text|character varying(\(\d+\))?)$/;

/** Whether values stand in the same order on both sides. */
function keepsOrder(column: ResolvedColumn): boolean {
  const { sourceType, targetType } = column;
  if (!keepsApart(column) || !orderedAlike.test(sourceType)) return false;
  const becomesText = unbounded.test(targetType) && !/^(text|character varying)/.test(sourceType);
  return !becomesText;
}

const literalCondition = ({ name, expression }: ResolvedColumn): string =>
  `t.${ident(name)} ${bareLiteral(expression)?.toLowerCase() === 'null' ? 'is null' : `= ${expression}`}`;

/** The conditions that keep a flow's rows apart from those of the flows that fill the same table; undefined where nothing does. */
function apartFromRivals(plan: ResolvedPlan, flow: ResolvedFlow): string[] | string {
  const conditions = new Set<string>();
  for (const rival of plan.flows) {
    if (rival.name === flow.name || display(rival.target) !== display(flow.target)) continue;
    const apart = flow.columns.find((column) => {
      const [mine, other] = [column, rival.columns.find(({ name }) => name === column.name)].map(
        (each) => each && bareLiteral(each.expression),
      );
      return mine !== undefined && other !== undefined && mine !== other;
    });
    if (apart === undefined) return rival.name;
    conditions.add(literalCondition(apart));
  }
  return [...conditions];
}

const refused = (flow: ResolvedFlow, reason: string, next: string) =>
  usageError(
    'RELOAD_REFUSED',
    `${flow.name}: ${display(flow.target)} cannot be reloaded like this: ${reason}`,
    next,
  );

const byBatch = 'reload its batches instead (--batch): that updates and inserts, and deletes nothing';
const asWhole = 'reload the whole flow instead: --flow without --batch and --range';
const anew = 'empty the table and migrate it in a run of its own';

function targetKey(plan: ResolvedPlan, flow: ResolvedFlow): string[] {
  const key = plan.targets.find((target) => display(target) === display(flow.target))?.key ?? [];
  return key.every((name) => flow.columns.some((column) => column.name === name)) ? key : [];
}

const lineageOf = (flow: ResolvedFlow): (ResolvedColumn | undefined)[] =>
  flow.drivingKey.map((key) =>
    flow.columns.find((column) => column.sourceColumn === key && keepsApart(column)),
  );

/** Rows that are updated where they stand are their own: all of them, or those of a batch, are looked at again. */
function ownOfBackfill(flow: ResolvedFlow, scope: Scope['kind']): OwnRows {
  if (scope === 'range' || scope === 'keys')
    throw refused(flow, 'its rows are updated where they stand', asWhole);
  return { key: flow.backfill!.key, lineage: [], conditions: [] };
}

/** Throws where what a flow makes of its driving rows leaves no part of it to be loaded again by itself. */
function refuseShape(flow: ResolvedFlow, scope: Scope['kind']): void {
  if (flow.fusion !== undefined) throw refused(flow, 'rows with one key have become one in it', anew);
  if (scope === 'batch' || scope === 'whole') return;
  if (flow.grouping !== undefined)
    throw refused(flow, 'its rows are computed over groups, which this would cut in two', asWhole);
  if (flow.idMap !== undefined) throw refused(flow, 'it is an id map', asWhole);
}

/**
 * Finds out how the target rows of a scope are told from all others, from the plan alone.
 * @param rowsBefore rows that the target held before the run
 * Throws RELOAD_REFUSED, with what to do instead, where a reload of this kind could touch rows that are not the scope's.
 */
export function ownRows(
  plan: ResolvedPlan,
  flow: ResolvedFlow,
  scope: Scope['kind'],
  rowsBefore: number,
): OwnRows {
  if (flow.backfill !== undefined) return ownOfBackfill(flow, scope);
  refuseShape(flow, scope);
  // What has a new id keeps it: only missing ones are added.
  if (flow.idMap !== undefined) return { key: [], lineage: [], conditions: [] };
  const key = targetKey(plan, flow);
  if (scope === 'batch') {
    if (key.length > 0) return { key, lineage: [], conditions: [] };
    throw refused(flow, 'nothing that the flow fills tells its rows apart', asWhole);
  }
  const conditions = apartFromRivals(plan, flow);
  const otherwise = key.length > 0 ? byBatch : anew;
  if (typeof conditions === 'string')
    throw refused(flow, `flow ${conditions} fills it too, and nothing tells their rows apart`, otherwise);
  if (rowsBefore > 0)
    throw refused(flow, `it held ${rowsBefore} rows before this run, which are not to be deleted`, otherwise);
  if (scope === 'whole') {
    if (key.length > 0 || conditions.length === 0) return { key, lineage: [], conditions };
    throw refused(flow, 'its rows have no key, and another flow fills it too', anew);
  }
  if (key.length === 0) throw refused(flow, 'nothing that the flow fills tells its rows apart', asWhole);
  if (flow.drivingKey.length === 0)
    throw refused(flow, `${display(flow.driving)} has no key to choose rows by`, asWhole);
  const lineage = scope === 'range' ? lineageOf(flow).slice(0, 1) : lineageOf(flow);
  const lost = lineage.indexOf(undefined);
  if (lost !== -1)
    throw refused(
      flow,
      `no column of it holds ${flow.drivingKey[lost]} of ${display(flow.driving)} unchanged`,
      asWhole,
    );
  const found = lineage as ResolvedColumn[];
  if (scope === 'range' && !keepsOrder(found[0]!))
    throw refused(
      flow,
      `a range of ${flow.drivingKey[0]} (${found[0]!.sourceType}) is not one of ${found[0]!.name} (${found[0]!.targetType})`,
      asWhole,
    );
  return { key, lineage: found, conditions };
}
