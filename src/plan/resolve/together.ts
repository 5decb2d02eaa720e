import { display } from '../../pg/quote.ts';
import { flowOfIdMap } from '../id-maps.ts';
import type { PathSegment } from '../path.ts';
import type { Fusion, ResolvedFlow } from '../resolved-plan.ts';
import { bareLiteral } from '../sql/text.ts';
import { leaderOf } from '../statements/select.ts';
import { findCircle } from '../waits.ts';
import type { ResolveContext } from './context.ts';
import type { FlowResult } from './flow.ts';

/** Whether declared conditions or different literals keep two flows' rows apart. */
function disjoint(a: ResolvedFlow, b: ResolvedFlow): boolean {
  if (a.where !== '' && b.where !== '' && a.where !== b.where) return true;
  return a.columns.some((column) => {
    const twin = b.columns.find(({ name }) => name === column.name);
    const [mine, other] = [bareLiteral(column.expression), twin && bareLiteral(twin.expression)];
    return mine !== undefined && other !== undefined && mine !== other;
  });
}

/** Whether two flows update the same rows, each its own columns. */
const updateOtherColumns = (a: ResolvedFlow, b: ResolvedFlow): boolean =>
  a.backfill !== undefined &&
  b.backfill !== undefined &&
  a.columns.every(({ name }) => b.columns.every((other) => other.name !== name));

/** What flows that fill one table have to agree in. */
const ruleOf = (fusion: Fusion | undefined): string =>
  fusion === undefined
    ? ''
    : JSON.stringify([
        fusion.rule,
        fusion.key,
        fusion.order.map(({ column, descending, nullsFirst }) => [column.targetType, descending, nullsFirst]),
      ]);

function checkPair(ctx: ResolveContext, { flow, target, path }: FlowResult, earlier: ResolvedFlow[]): void {
  const name = display(target);
  const other = earlier.find(({ fusion }) => ruleOf(fusion) !== ruleOf(flow.fusion));
  if (other !== undefined) {
    ctx.problems.error(
      path,
      `${other.name} and ${flow.name} both fill ${name}, and do not say the same of rows that meet`,
      'Give both the same on_conflict and conflict_key, and an order of the same types and directions.',
    );
    return;
  }
  const meets = (each: ResolvedFlow) => !disjoint(each, flow) && !updateOtherColumns(each, flow);
  const rival = flow.fusion === undefined ? earlier.find(meets) : undefined;
  if (rival !== undefined)
    ctx.problems.error(
      path,
      `${rival.name} and ${flow.name} both fill ${name}, and nothing in the plan keeps their rows apart`,
      'Give them where conditions that exclude each other, a column with a literal of its own, or one rule for rows that meet (on_conflict).',
    );
}

/** Flows of one name, flows that would fill a table with the same rows, a table that would be copied into itself. */
export function checkTogether(ctx: ResolveContext, results: FlowResult[]): void {
  const sameDatabase = ctx.source.facts.identity === ctx.target.facts.identity;
  const names = new Set([...ctx.idMaps.keys()].map(flowOfIdMap));
  const byTarget = new Map<number, ResolvedFlow[]>();
  for (const result of results) {
    const { flow, target, path } = result;
    if (names.has(flow.name))
      ctx.problems.error(
        path,
        `there are two flows called ${flow.name}`,
        'A table under tables is a flow of that name, and each id map has one that fills it: choose another name.',
      );
    names.add(flow.name);
    const earlier = byTarget.get(target.oid) ?? [];
    checkPair(ctx, result, earlier);
    byTarget.set(target.oid, [...earlier, flow]);
    if (
      sameDatabase &&
      flow.backfill === undefined &&
      flow.reads.some((read) => display(read) === display(target))
    )
      ctx.problems.error(
        path,
        `${display(target)} would be read and filled at once`,
        'Source and target are the same database: fill another table, or its own driving table.',
      );
  }
}

/** Gives flows whose rows are fused their place among those that fill the same table. */
export function numberFused(results: FlowResult[]): FlowResult[] {
  const placed = new Map<number, number>();
  return results.map((result) => {
    const ordinal = placed.get(result.target.oid) ?? 0;
    placed.set(result.target.oid, ordinal + 1);
    const { fusion } = result.flow;
    return fusion === undefined
      ? result
      : { ...result, flow: { ...result.flow, fusion: { ...fusion, ordinal } } };
  });
}

/** The column of a flow, or of one that is read with it, that is looked up in what another flow fills. */
function placeOfLookup(results: FlowResult[], flow: string, other: string): PathSegment[] {
  const tables = results.flatMap((each) => (leaderOf(each.flow) === other ? display(each.target) : []));
  for (const { flow: each, path } of results.filter((result) => leaderOf(result.flow) === flow)) {
    const column = each.columns.find(({ lookup }) => lookup && tables.includes(display(lookup.relation)));
    if (column) return [...path, 'columns', column.name];
  }
  return ['flows'];
}

/** Flows that could never begin, since each waits for another to be copied. */
export function checkOrder(ctx: ResolveContext, results: FlowResult[], flows: ResolvedFlow[]): void {
  const circle = findCircle({ flows });
  if (circle === undefined) return;
  const alone = circle.length === 2;
  ctx.problems.error(
    placeOfLookup(results, circle[0]!, circle[1]!),
    alone
      ? `${circle[0]} looks values up in the table that it fills itself`
      : `these flows look values up in each other's tables, so that none could begin: ${circle.join(' → ')}`,
    'Keys that refer to each other need an id map: declare one under id_maps, which is filled before any flow.',
  );
}
