import { readKeys } from '../../catalog/columns.ts';
import { display, literal } from '../../pg/quote.ts';
import type { PathSegment } from '../path.ts';
import { amount } from '../problems.ts';
import type { ResolveContext } from '../resolve/context.ts';
import type { FlowResult } from '../resolve/flow.ts';
import type { ResolvedColumn, ResolvedFlow } from '../resolved-plan.ts';
import { planQuery } from '../sql/query.ts';
import { bareLiteral } from '../sql/text.ts';
import { carriedFor, selectRows } from '../statements/select.ts';
import { type Counting, countedWithin } from './counting.ts';
import { placeOfJoin } from './join-rows.ts';

/** Flows that fill one table, with the columns of its key. */
interface Filling {
  key: string[];
  results: FlowResult[];
}

/** A flow's columns that are a key of its target. Undefined where one is not filled, or is looked up in a table: that tells nothing. */
function keyColumns({ columns }: ResolvedFlow, key: string[]): ResolvedColumn[] | undefined {
  const found = key.map((name) => columns.find((column) => column.name === name));
  const known = found.filter((each) => each !== undefined);
  const told = known.every(({ lookup }) => lookup === undefined || lookup.idMap !== undefined);
  return told && known.length === key.length ? known : undefined;
}

const whole = /^(smallint|integer|bigint)$/;
const text = /^(text|character varying)\b/;

/** Whether different values stay different in the target's type. */
const staysApart = ({ sourceType, targetType }: ResolvedColumn): boolean =>
  sourceType === targetType || text.test(targetType) || (whole.test(sourceType) && whole.test(targetType));

/** Whether the plan shows that no two rows of a flow have one key: it is the driving table's own, or what rows are grouped by. */
function isProven(flow: ResolvedFlow, key: ResolvedColumn[], ownKey: string[] | undefined): boolean {
  const parts = key.flatMap(carriedFor).filter(staysApart);
  if (flow.grouping?.kind === 'group')
    return flow.grouping.by.every((by) => parts.some(({ expression }) => expression.trim() === by.trim()));
  const once = flow.join === '' || flow.joinRows === undefined || flow.joinRows === 'may_lose';
  const inherits = flow.leaves.length > 1 && flow.leaves.some(({ oid }) => oid === flow.driving.oid);
  const own = parts.map(({ sourceColumn }) => sourceColumn);
  if (!once || inherits || ownKey === undefined) return false;
  return ownKey.every((name) => own.includes(name));
}

/** Whether a column of the key holds another literal in each of two flows. */
const keepApart = (a: ResolvedColumn[], b: ResolvedColumn[]): boolean =>
  a.some((column, i) => {
    const [mine, other] = [bareLiteral(column.expression), bareLiteral(b[i]!.expression)];
    return mine !== undefined && other !== undefined && mine !== other;
  });

/** The keys of a flow's rows, as the text of what they are made of: k1, k2, … */
function keysOf(flow: ResolvedFlow, key: ResolvedColumn[]): string {
  // New ids are as unique as the old keys are within their map.
  const parts = key.flatMap((column) => [
    ...(column.lookup?.idMap === undefined ? [] : [literal(column.lookup.idMap)]),
    ...carriedFor(column).map(({ compareExpression }) => `(${compareExpression}\n)`),
  ]);
  const list = parts.map((part, i) => `${part}::pg_catalog.text collate pg_catalog."C" as k${i + 1}`);
  return selectRows(flow, list);
}

interface Shared {
  rows: number;
  keys: number;
}

function sharedBy(flows: ResolvedFlow[], keys: ResolvedColumn[][]): string {
  const names = keys[0]!
    .flatMap((column) => [...(column.lookup ? [''] : []), ...carriedFor(column)])
    .map((_, i) => `k${i + 1}`);
  const all = flows.map((flow, i) => `(${keysOf(flow, keys[i]!)})`).join(' union all ');
  return `select coalesce(pg_catalog.sum(d.n), 0) as rows, pg_catalog.count(*) as keys from (
      select pg_catalog.count(*) as n from (${all}) as r
       where ${names.map((name) => `r.${name} is not null`).join(' and ')}
       group by ${names.map((name) => `r.${name}`).join(', ')} having pg_catalog.count(*) > 1) as d`;
}

const oneRule = 'say which row stays: on_conflict: skip, with an order';

function mendFor({ results }: Filling, path: PathSegment[]): string {
  if (path[0] === 'tables')
    return `The source has no such key. Mend its rows, or write a flow and ${oneRule}.`;
  if (results.length > 1)
    return `Let their where conditions exclude each other, give the key a column with a literal of its own in each, or in each ${oneRule}.`;
  if (results[0]!.flow.grouping?.kind === 'group')
    return `Group by what the key is made of and nothing else, or ${oneRule}.`;
  return `Let the key hold what tells these rows apart, or ${oneRule}.`;
}

function report(ctx: ResolveContext, filling: Filling, { rows, keys }: Shared): void {
  const { key, results } = filling;
  const { path, target } = results.at(-1)!;
  const columns = key.length === 1 ? key[0]! : `(${key.join(', ')})`;
  const single = results.length === 1 && path[0] !== 'tables';
  const at = single ? [...path, 'columns', ...(key.length === 1 ? key : [])] : path;
  const names = results.map(({ flow }) => flow.name);
  const who = names.length === 1 ? 'it gives' : `${names.slice(0, -1).join(', ')} and ${names.at(-1)} give`;
  ctx.problems.error(
    at,
    `${who} ${display(target)} several rows with one ${columns}: ${amount(rows)} rows share ${amount(keys)} ${keys === 1 ? 'key' : 'keys'}`,
    mendFor(filling, path),
  );
}

async function checkFilling(
  ctx: ResolveContext,
  counting: Counting,
  filling: Filling,
  ownKeys: ReadonlyMap<number, string[]>,
): Promise<void> {
  const { key, results } = filling;
  const flows = results.map(({ flow }) => flow);
  const found = flows.map((flow) => keyColumns(flow, key));
  const keys = found.filter((each) => each !== undefined);
  if (keys.length < flows.length) return;
  const arity = (columns: ResolvedColumn[]) => columns.map((each) => carriedFor(each).length).join();
  const maps = (columns: ResolvedColumn[]) => columns.map(({ lookup }) => lookup !== undefined).join();
  if (keys.some((each) => arity(each) !== arity(keys[0]!) || maps(each) !== maps(keys[0]!))) return;
  const apart = keys.every((each, i) => keys.slice(0, i).every((other) => keepApart(each, other)));
  if (apart && flows.every((flow, i) => isProven(flow, keys[i]!, ownKeys.get(flow.driving.oid)))) return;
  const sql = sharedBy(flows, keys);
  const what = `rows with one key of ${display(results[0]!.target)}`;
  const counted = await counting.count(what, (session) =>
    planQuery<{ rows: string; keys: string }>(session, sql),
  );
  if (counted.kind === 'counted') {
    const [row] = counted.value.rows;
    const shared = { rows: Number(row!.rows), keys: Number(row!.keys) };
    if (shared.keys > 0) report(ctx, filling, shared);
  } else if (counted.kind === 'late') {
    const { path, target } = results.at(-1)!;
    ctx.problems.warning(
      path,
      `whether ${display(target)} would get several rows with one key was not counted: that takes more than ${countedWithin} s`,
      'It is found when the index of the key is built.',
    );
  }
}

/**
 * Counts rows that would have the same key in their target table, over all flows that fill it, as far as the plan does not
 * show that there are none. Flows that something is wrong with already are left out.
 * @param keys the columns that identify a row of each target table, by its oid
 */
export async function checkSharedKeys(
  ctx: ResolveContext,
  counting: Counting,
  results: FlowResult[],
  keys: ReadonlyMap<number, string[]>,
): Promise<void> {
  const ownKeys = await readKeys(
    ctx.source.session,
    results.map(({ flow }) => flow.driving.oid),
  );
  for (const [oid, key] of keys) {
    const filling = results.filter(({ target }) => target.oid === oid);
    const free = filling.every(
      ({ flow, path }) =>
        !flow.fusion &&
        !flow.backfill &&
        !flow.transform &&
        ![path, placeOfJoin(path)].some((at) => ctx.problems.hasErrorAt(at)),
    );
    if (free) await checkFilling(ctx, counting, { key, results: filling }, ownKeys);
  }
}
