import type pg from 'pg';
import { formatTypes } from '../catalog/data-types.ts';
import { ident } from '../pg/quote.ts';
import { setSearchPath } from '../pg/transaction.ts';
import type { ResolveContext } from './context.ts';
import type { DescribedColumn, Describer } from './describe.ts';
import type { TypedExpression } from './resolve-columns.ts';
import { fromClause, whereClause } from './select.ts';
import { lex, nameOf } from './sql-text.ts';
import type { FlowSpec, ResolvedFlow } from './types.ts';
import type { PathSegment } from './yaml-document.ts';

/** What a flow's texts stand in, before its columns are known. */
export type Frame = Pick<ResolvedFlow, 'driving' | 'only' | 'alias' | 'join' | 'where'>;

const asFlow = (frame: Frame): ResolvedFlow => frame as ResolvedFlow;

/** The server's error as a problem; its own hint first. */
export function reportServerError(
  ctx: ResolveContext,
  error: pg.DatabaseError,
  path: PathSegment[],
  next?: string,
): void {
  ctx.problems.error(path, `PostgreSQL says: ${error.message}`, error.hint ?? next);
}

/** What an expression does that would come out differently for each batch: told by where it may not stand. */
const perBatch: Record<string, [message: string, hint: string]> = {
  '42803': [
    'it is an aggregate over the batch',
    'Aggregate in a subquery under join, one row for a driving row.',
  ],
  '42P20': [
    'it is a window function over the batch',
    'Compute it in a subquery over the whole table, under join.',
  ],
  '0A000': ['it may give several rows', 'Put the function under join: cross join lateral f(…) as x.'],
};

/** Whether join and where are right; each is reported where it stands. */
async function checkFrame(
  ctx: ResolveContext,
  describer: Describer,
  frame: Frame,
  path: PathSegment[],
): Promise<boolean> {
  const steps: [key: string, frame: Frame][] = [
    ['from', { ...frame, join: '', where: '' }],
    ['join', { ...frame, where: '' }],
    ['where', frame],
  ];
  for (const [key, partial] of steps) {
    if (key !== 'from' && frame[key as 'join' | 'where'] === '') continue;
    const { error } = await describer.describe(
      `select 1 ${fromClause(asFlow(partial))} ${whereClause(asFlow(partial))}`,
    );
    if (error) {
      reportServerError(ctx, error, [...path, key]);
      return false;
    }
  }
  return true;
}

async function describeOne(
  ctx: ResolveContext,
  describer: Describer,
  frame: Frame,
  expression: string,
  path: PathSegment[],
): Promise<DescribedColumn | undefined> {
  const from = fromClause(asFlow(frame));
  const { columns, error } = await describer.describe(
    `select (${expression}\n) ${from} ${whereClause(asFlow(frame))}`,
  );
  if (error) {
    reportServerError(ctx, error, path);
    return undefined;
  }
  if (columns.length !== 1) {
    ctx.problems.error(
      path,
      `it gives ${columns.length} columns instead of one`,
      'Write one expression for each column.',
    );
    return undefined;
  }
  const conditions = whereClause(asFlow(frame), [`(${expression}\n) is null`]);
  const inCondition = await describer.describe(`select 1 ${from} ${conditions}`);
  if (inCondition.error) {
    const known = perBatch[inCondition.error.code ?? ''];
    if (known) ctx.problems.error(path, ...known);
    else reportServerError(ctx, inCondition.error, path);
    return undefined;
  }
  return columns[0];
}

/** The driving table's column that an expression is, and nothing else. */
function bareColumn(
  expression: string,
  alias: string,
  columns: ReadonlySet<string>,
  joined: boolean,
): string | undefined {
  const { tokens } = lex(expression);
  const [first, dot, second] = tokens;
  if (tokens.length === 3 && dot?.text === '.' && ident(nameOf(first) ?? '') === alias) {
    const name = nameOf(second);
    return name !== undefined && columns.has(name) ? name : undefined;
  }
  const name = tokens.length === 1 && !joined ? nameOf(first) : undefined;
  return name !== undefined && columns.has(name) ? name : undefined;
}

/**
 * Asks the source what each expression of a flow is, without running any of them: as a select list item of its own,
 * and as a condition, which neither aggregates nor sets can be. Expressions that are wrong are reported and left out.
 */
export async function typeExpressions(
  ctx: ResolveContext,
  describer: Describer,
  frame: Frame,
  spec: FlowSpec,
  drivingColumns: ReadonlySet<string>,
  path: PathSegment[],
): Promise<Map<string, TypedExpression> | undefined> {
  if (!(await checkFrame(ctx, describer, frame, path))) return undefined;
  const found: [name: string, described: DescribedColumn][] = [];
  for (const [name, expression] of Object.entries(spec.columns)) {
    const described = await describeOne(ctx, describer, frame, expression, [...path, 'columns', name]);
    if (described) found.push([name, described]);
  }
  // The empty path, for qualified names.
  await setSearchPath(ctx.source.session, []);
  const types = await formatTypes(
    ctx.source.session,
    found.map(([, { typeOid, typmod }]) => ({ oid: typeOid, typmod })),
  );
  await setSearchPath(ctx.source.session, ctx.source.searchPath);
  return new Map(
    found.map(([name, described], i) => {
      const expression = spec.columns[name]!;
      const sourceColumn = bareColumn(expression, frame.alias, drivingColumns, frame.join !== '');
      return [
        name,
        {
          expression,
          ...described,
          type: types[i]!,
          ...(sourceColumn === undefined ? {} : { sourceColumn }),
        },
      ];
    }),
  );
}
