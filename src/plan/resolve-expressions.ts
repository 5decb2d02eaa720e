import type pg from 'pg';
import { formatTypes } from '../catalog/data-types.ts';
import { ident } from '../pg/quote.ts';
import { sqlStates } from '../pg/sql-states.ts';
import { setSearchPath } from '../pg/transaction.ts';
import type { ResolveContext } from './context.ts';
import type { DescribedColumn, Describer } from './describe.ts';
import type { TypedExpression } from './resolve-columns.ts';
import { type Frame, selectRows } from './select.ts';
import { lex, nameOf } from './sql-text.ts';
import type { PathSegment } from './yaml-document.ts';

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
  [sqlStates.groupingError]: [
    'it is an aggregate over the batch',
    'Give the flow a group_by, or aggregate in a subquery under join.',
  ],
  [sqlStates.windowingError]: [
    'it is a window function over the batch',
    'Give the flow a window_by, or compute it in a subquery over the whole table, under join.',
  ],
  [sqlStates.featureNotSupported]: [
    'it may give several rows',
    'Put the function under join: cross join lateral f(…) as x.',
  ],
};

/** Whether the parts of a frame are right, each held to the server with those before it; what is wrong is reported where it stands. */
export async function checkFrames(
  ctx: ResolveContext,
  describer: Describer,
  frames: { frame: Frame; path: PathSegment[] }[],
): Promise<boolean> {
  for (const { frame, path } of frames) {
    const { error } = await describer.describe(selectRows(frame, ['1']));
    if (!error) continue;
    reportServerError(ctx, error, path);
    return false;
  }
  return true;
}

/**
 * A statement that is refused where an expression is an aggregate over the batch, or a set: neither may stand in a
 * condition. Window functions may not either, but in a CASE, and an aggregate not beside a plain column.
 */
function alone(frame: Frame, expression: string): string {
  const isNull = `(${expression}\n) is null`;
  if (frame.grouping?.kind === 'group') return `${selectRows(frame, ['1'])} having ${isNull}`;
  if (frame.grouping?.kind === 'window')
    return selectRows(frame, [`case when ${isNull} then 1 end`, `${frame.alias} is null`]);
  return selectRows(frame, ['1'], { conditions: [isNull] });
}

async function describeOne(
  ctx: ResolveContext,
  describer: Describer,
  frame: Frame,
  expression: string,
  path: PathSegment[],
): Promise<DescribedColumn | undefined> {
  const { columns, error } = await describer.describe(selectRows(frame, [`(${expression}\n)`]));
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
  const proven = await describer.describe(alone(frame, expression));
  if (proven.error) {
    const known = perBatch[proven.error.code ?? ''];
    if (known) ctx.problems.error(path, ...known);
    else reportServerError(ctx, proven.error, path);
    return undefined;
  }
  return columns[0];
}

/** The driving table's column that an expression is, and nothing else. */
export function bareColumn(
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

/** An expression of the plan, and where it stands. */
export interface PlacedExpression {
  text: string;
  path: PathSegment[];
}

/**
 * Asks the source what each expression of a frame is, without running any of them: as a select list item of its own,
 * and as a condition, which neither aggregates nor sets can be. Of expressions that are wrong, which is reported, the
 * answer is undefined.
 */
export async function typeExpressions(
  ctx: ResolveContext,
  describer: Describer,
  frame: Frame,
  drivingColumns: ReadonlySet<string>,
  expressions: PlacedExpression[],
): Promise<(TypedExpression | undefined)[]> {
  const described: (DescribedColumn | undefined)[] = [];
  for (const { text, path } of expressions)
    described.push(await describeOne(ctx, describer, frame, text, path));
  // The empty path, for qualified names.
  await setSearchPath(ctx.source.session, []);
  const known = described.filter((each) => each !== undefined);
  const types = await formatTypes(
    ctx.source.session,
    known.map(({ typeOid, typmod }) => ({ oid: typeOid, typmod })),
  );
  await setSearchPath(ctx.source.session, ctx.source.searchPath);
  return expressions.map(({ text }, i) => {
    const is = described[i];
    if (is === undefined) return undefined;
    const sourceColumn = bareColumn(text, frame.alias, drivingColumns, frame.join !== '');
    const type = types[known.indexOf(is)]!;
    return { expression: text, ...is, type, ...(sourceColumn === undefined ? {} : { sourceColumn }) };
  });
}
