import { type Column, readColumns } from '../../catalog/columns.ts';
import { display, literal } from '../../pg/quote.ts';
import type { PathSegment } from '../path.ts';
import type { QuarantineLimit } from '../plan.ts';
import { amount } from '../problems.ts';
import type { ResolveContext } from '../resolve/context.ts';
import { baseType } from '../resolve/conversions.ts';
import type { FlowResult } from '../resolve/flow.ts';
import type { ResolvedColumn, ResolvedFlow } from '../resolved-plan.ts';
import { planQuery } from '../sql/query.ts';
import { isConstant } from '../sql/text.ts';
import { isCutByKey, selectRows } from '../statements/select.ts';
import { type Counting, countedWithin } from './counting.ts';

/** Values that a target column does not take, as a condition over the source, and what is said of rows that have one. */
interface Refusal {
  path: PathSegment[];
  condition: string;
  /** The rows have no key then: nothing could find them again. */
  keyless: boolean;
  message: (rows: string) => string;
  hint: string;
}

interface Asked {
  result: FlowResult;
  column: ResolvedColumn;
  /** The target's. */
  into: Column;
  path: PathSegment[];
}

/** An expression as a hint repeats it. */
const shown = (expression: string): string =>
  expression.length > 40 || /[\n,]/.test(expression) ? '…' : expression;

/** What of a flow's source is never NULL: columns of its driving table. */
const neverNull = (columns: Column[]): ReadonlySet<string> =>
  new Set(columns.filter(({ notNull }) => notNull).map(({ name }) => name));

/** NULLs on their way into a column that takes none. */
function nulls(
  { result, column, path }: Asked,
  filled: ReadonlySet<string>,
  key: string[],
): Refusal | undefined {
  // Of rows that are merged, another one may have the value.
  if (!column.notNull || result.flow.fusion?.rule === 'merge') return undefined;
  const parts = (column.lookup?.by ?? [column]).filter(
    ({ sourceColumn, expression }) => !filled.has(sourceColumn ?? '') && !isConstant(expression),
  );
  if (parts.length === 0) return undefined;
  const list = parts.map(({ copyExpression }) => `(${copyExpression}\n)`).join(', ');
  const keyless = key.includes(column.name);
  return {
    path,
    keyless,
    condition: `pg_catalog.num_nulls(${list}) > 0`,
    message: (rows) =>
      `${column.name} of ${display(result.target)} is ${keyless ? 'part of its key' : 'NOT NULL'}, and ${rows} give it NULL`,
    hint: mendNulls(result, column, parts, keyless),
  };
}

/** The ways out for rows that give NULL. */
function mendNulls(
  { flow, path }: FlowResult,
  column: ResolvedColumn,
  parts: ResolvedColumn[],
  keyless: boolean,
): string {
  if (path[0] === 'tables')
    return 'Mend them in the source, or write a flow that leaves them out or gives them a value.';
  const grouped = (text: string) => (/^[\w."…]+$/.test(text) ? text : `(${text})`);
  const conditions = parts.map(({ expression }) => `${grouped(shown(expression))} is not null`).join(' and ');
  const ways = [
    ...(column.lookup || keyless ? [] : [`give it a value: coalesce(${shown(column.expression)}, …)`]),
    // There is no HAVING.
    ...(flow.grouping?.kind === 'group' ? [] : [`leave them out: where: ${conditions}`]),
  ].join('; or ');
  const all = ways === '' ? 'leave them out with where' : ways;
  return `${all[0]!.toUpperCase()}${all.slice(1)}.`;
}

const textual = /^(text|character)\b/;

/** Text on its way into an enum that has no such label. */
function labels(ctx: ResolveContext, { result, column, into, path }: Asked): Refusal | undefined {
  const { types } = ctx.target;
  const known = baseType(types, types.byOid.get(into.typeOid)!).labels;
  if (!known || column.lookup || !textual.test(column.sourceType) || isConstant(column.expression))
    return undefined;
  const list = known.map(literal).join(', ');
  return {
    path,
    keyless: false,
    condition: `(${column.copyExpression}\n)::pg_catalog.text <> all (array[${list}]::pg_catalog.text[])`,
    message: (rows) => `${rows} give ${column.name} of ${display(result.target)} what is no ${into.type}`,
    hint: `It is one of ${known.join(', ')}: say which with case … when … then … end.`,
  };
}

/** Whether what is refused can be told from the rest, and set aside: else its batch fails, and the run with it. */
const canBeSetAside = (flow: ResolvedFlow): boolean =>
  isCutByKey(flow) || flow.leaves.every(({ hasCtid }) => hasCtid);

/** What becomes of rows that nobody mends. */
function otherwise(flow: ResolvedFlow, rows: number, of: number, limit: QuarantineLimit): string {
  if (!canBeSetAside(flow)) return 'Else the run fails: nothing tells the rows of a view apart.';
  // A group counts as one, however many of its rows are refused.
  const single = flow.grouping?.kind !== 'window';
  const stops = single && (rows > limit.rows || rows > limit.ratio * Math.max(1000, of));
  return `Else they go into quarantine${stops ? ', and are more than migration.quarantine_limit allows: the run would stop' : ''}.`;
}

async function countRefused(
  ctx: ResolveContext,
  counting: Counting,
  { flow, target, path }: FlowResult,
  refusals: Refusal[],
  limit: QuarantineLimit,
): Promise<void> {
  const list = refusals.map(({ condition }, i) => `${condition} as c${i + 1}`);
  const counts = refusals.map((_, i) => `pg_catalog.count(*) filter (where r.c${i + 1}) as c${i + 1}`);
  const sql = `select pg_catalog.count(*) as c0, ${counts.join(', ')} from (${selectRows(flow, list)}) as r`;
  const counted = await counting.count(`rows of ${flow.name} that ${display(target)} refuses`, (session) =>
    planQuery<Record<string, string>>(session, sql),
  );
  if (counted.kind === 'counted') {
    const [row] = counted.value.rows;
    const of = (i: number) => Number(row![`c${i}`]);
    for (const [i, { path: at, keyless, message, hint }] of refusals.entries()) {
      const rows = of(i + 1);
      if (rows === 0) continue;
      const fatal = keyless || !canBeSetAside(flow);
      const mend = keyless ? hint : `${hint} ${otherwise(flow, rows, of(0), limit)}`;
      ctx.problems[fatal ? 'error' : 'warning'](
        at,
        message(`${amount(rows)} of ${amount(of(0))} rows`),
        mend,
      );
    }
    return;
  }
  const late = counted.kind === 'late';
  ctx.problems.warning(
    path,
    `which of its rows ${display(target)} would refuse was not counted: ${
      late ? `that takes more than ${countedWithin} s` : 'an expression fails for one of them'
    }`,
    canBeSetAside(flow)
      ? 'They are found while they are copied, and go into quarantine.'
      : 'One of them fails the run: nothing tells the rows of a view apart.',
  );
}

/**
 * Counts rows that target columns would refuse, as far as the plan does not rule them out: NULL where there must be a
 * value, and text that is no label of an enum.
 * @param keys the columns that identify a row of each target table, by its oid
 */
export async function checkRefused(
  ctx: ResolveContext,
  counting: Counting,
  results: FlowResult[],
  keys: ReadonlyMap<number, string[]>,
  limit: QuarantineLimit,
): Promise<void> {
  const of = (pick: (result: FlowResult) => number) => [...new Set(results.map(pick))];
  const targets = await readColumns(
    ctx.target.session,
    of(({ target }) => target.oid),
  );
  const sources = await readColumns(
    ctx.source.session,
    of(({ flow }) => flow.driving.oid),
  );
  for (const result of results) {
    const { flow, target, path } = result;
    if (flow.transform) continue; // Its rows are made in code.
    const filled = neverNull(sources.get(flow.driving.oid) ?? []);
    const refusals = flow.columns.flatMap((column) => {
      const into = targets.get(target.oid)?.find(({ name }) => name === column.name);
      const at = path[0] === 'tables' ? path : [...path, 'columns', column.name];
      const asked = into && { result, column, into, path: at };
      return asked ? [nulls(asked, filled, keys.get(target.oid) ?? []), labels(ctx, asked)] : [];
    });
    const possible = refusals.filter((each) => each !== undefined);
    if (possible.length > 0) await countRefused(ctx, counting, result, possible, limit);
  }
}
