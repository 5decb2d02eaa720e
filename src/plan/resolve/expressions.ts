import type pg from 'pg';
import { formatTypes } from '../../catalog/data-types.ts';
import { ident } from '../../pg/quote.ts';
import { sqlStates } from '../../pg/sql-states.ts';
import { setSearchPath } from '../../pg/transaction.ts';
import type { PathSegment } from '../path.ts';
import { checkTexts, type PlanText, type SoundText } from '../sql/check-texts.ts';
import type { DescribedColumn, Describer } from '../sql/describe.ts';
import type { Piece } from '../sql/piece.ts';
import { faultOfServerError, type SentText } from '../sql/server-error.ts';
import { partsOf } from '../sql/walk.ts';
import { type Frame, selectRows } from '../statements/select.ts';
import type { TypedExpression } from './columns.ts';
import type { ResolveContext } from './context.ts';

/** The server's error about a text of the plan as a problem, with its place in the text and what may have been meant. */
export async function reportServerError(
  ctx: ResolveContext,
  error: pg.DatabaseError,
  path: PathSegment[],
  sent: SentText,
): Promise<void> {
  const { message, hint } = await faultOfServerError(ctx, error, sent);
  ctx.problems.error(path, message, hint);
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

/** A text of a frame, and the frame that ends with it. */
export interface PartOfFrame extends PlanText {
  frame: Frame;
}

/** Whether the parts of a frame are right, each held to the server with those before it; what is wrong is reported where it stands. */
export async function checkFrames(
  ctx: ResolveContext,
  describer: Describer,
  frames: PartOfFrame[],
): Promise<SoundText[] | undefined> {
  const sound = await checkTexts(ctx, frames);
  if (!sound.every((each) => each !== undefined)) return undefined;
  for (const { frame, place, text, path } of frames) {
    const statement = selectRows(frame, ['1']);
    const { error } = await describer.describe(statement);
    if (!error) continue;
    const start = statement.lastIndexOf(text);
    await reportServerError(ctx, error, path, { place, text, frame, statement, start });
    return undefined;
  }
  return sound;
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
  { text, path }: PlacedExpression,
): Promise<DescribedColumn | undefined> {
  const statement = selectRows(frame, [`(${text}\n)`]);
  const sent = { place: 'column', text, frame, statement, start: statement.indexOf(text) } as const;
  const { columns, error } = await describer.describe(statement);
  if (error) {
    await reportServerError(ctx, error, path, sent);
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
  const proof = alone(frame, text);
  const proven = await describer.describe(proof);
  if (proven.error) {
    const known = perBatch[proven.error.code ?? ''];
    if (known) ctx.problems.error(path, ...known);
    else await reportServerError(ctx, proven.error, path, { ...sent, statement: proof, start: -1 });
    return undefined;
  }
  return columns[0];
}

/** The driving table's column that an expression is, and nothing else. */
export function bareColumn(
  { tree: [node] }: Piece,
  alias: string,
  columns: ReadonlySet<string>,
  joined: boolean,
): string | undefined {
  const parts = node && 'ColumnRef' in node ? partsOf(node.ColumnRef.fields) : [];
  const [name, qualifier, ...more] = parts.toReversed();
  if (name === undefined || more.length > 0 || !columns.has(name)) return undefined;
  return (qualifier === undefined ? !joined : ident(qualifier) === alias) ? name : undefined;
}

/** An expression of the plan, and where it stands. */
export type PlacedExpression = Pick<PlanText, 'text' | 'path'>;

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
  const texts = expressions.map((each) => ({ ...each, place: 'column' as const }));
  const sound = await checkTexts(ctx, texts, frame.grouping);
  const described: (DescribedColumn | undefined)[] = [];
  for (const each of sound) described.push(each && (await describeOne(ctx, describer, frame, each)));
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
    const sourceColumn = bareColumn(sound[i]!.piece, frame.alias, drivingColumns, frame.join !== '');
    const type = types[known.indexOf(is)]!;
    return { expression: text, ...is, type, ...(sourceColumn === undefined ? {} : { sourceColumn }) };
  });
}
