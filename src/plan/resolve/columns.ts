import type { Column } from '../../catalog/columns.ts';
import type { DataType } from '../../catalog/data-types.ts';
import { nearest } from '../../nearest.ts';
import { ident } from '../../pg/quote.ts';
import type { PathSegment } from '../path.ts';
import type { ResolvedColumn } from '../resolved-plan.ts';
import { bareLiteral, lex } from '../sql/text.ts';
import type { ResolveContext } from './context.ts';
import { baseType, convert, isBuiltin, missingLabels } from './conversions.ts';
import { comparable, digestOf, travelsInBinary } from './digests.ts';
import { misfits } from './fits.ts';

/** An expression and what the source says it is. */
export interface TypedExpression {
  expression: string;
  typeOid: number;
  typmod: number;
  /** `format_type`. */
  type: string;
  sourceColumn?: string;
}

/** A column of a flow, and whether it may travel in binary. */
export interface MappedColumn {
  column: ResolvedColumn;
  binary: boolean;
}

const largeObjectTypes = new Set(['oid', 'lo']);

function checkMeaning(ctx: ResolveContext, from: DataType, column: Column, path: PathSegment[]) {
  const { source, target, problems } = ctx;
  if (largeObjectTypes.has(from.name) && source.facts.hasLargeObjects)
    problems.error(
      path,
      `the source holds large objects, and a value of type ${from.name} may be the number of one`,
      'Large objects are not copied. Cast the value to bigint if it is only a number.',
    );
  if (
    from.name === 'money' &&
    column.type === 'money' &&
    source.facts.moneyLocale !== target.facts.moneyLocale
  )
    problems.error(
      path,
      'money means different amounts: lc_monetary differs between source and target',
      'Convert it in the plan: (…)::numeric.',
    );
  const lacking = missingLabels(source.types, target.types, from, column);
  if (lacking.length > 0)
    problems.warning(
      path,
      `the target’s ${column.type} lacks labels of the source’s: ${lacking.join(', ')}`,
      'A row that has one goes into quarantine.',
    );
}

/** One warning of all that a value may lose on its way, or be refused for. */
function warnOfLoss(
  ctx: ResolveContext,
  given: TypedExpression,
  column: Column,
  lost: string | undefined,
  path: PathSegment[],
) {
  const all = misfits(ctx.source.types, ctx.target.types, given, column);
  // What a conversion loses it says more exactly than that something is rounded.
  const found =
    lost === undefined ? all : [{ what: lost, silent: true }, ...all.filter(({ silent }) => !silent)];
  if (found.length === 0) return;
  const hints = [
    ...(found.some(({ silent }) => silent) ? ['The validator compares with the converted value.'] : []),
    ...(found.some(({ silent }) => !silent) ? ['A row that is refused is set aside, in quarantine.'] : []),
  ];
  const message = `${given.type} into ${column.type}: ${found.map(({ what }) => what).join('; ')}`;
  ctx.problems.warning(path, message, hints.join(' '));
}

/** Warns of whole numbers that are divided on their way into a column that would keep the fraction. */
function warnOfDivision(ctx: ResolveContext, given: TypedExpression, column: Column, path: PathSegment[]) {
  const keepsFraction = /^(numeric(?!\(\d+,0\))|real|double precision)/.test(column.type);
  if (!keepsFraction || !/^(smallint|integer|bigint)$/.test(given.type)) return;
  if (!lex(given.expression).tokens.some(({ text }) => text === '/')) return;
  ctx.problems.warning(
    path,
    `${given.type} is divided by ${given.type}: what is behind the point is cut off before it gets into ${column.type}`,
    'Where it counts, divide by a numeric: … / 100.0.',
  );
}

/** Reports a literal that its column takes from no row: NULL where there must be a value, or what is no label of an enum. */
function checkLiteral(
  { problems }: ResolveContext,
  text: string,
  column: Column,
  labels: string[] | null,
  path: PathSegment[],
): boolean {
  if (text === 'null' && column.notNull)
    problems.error(
      path,
      `NULL does not go into ${column.name}, which is NOT NULL`,
      'Give it a value, or leave it out where it has a default.',
    );
  const [, quoted] = /^'((?:[^']|'')*)'$/.exec(text) ?? [];
  const label = quoted?.replaceAll("''", "'");
  const isNone = label !== undefined && labels !== null && !labels.includes(label);
  if (isNone) {
    const near = nearest(label, labels);
    const hint = near === undefined ? `It is one of ${labels.join(', ')}.` : `Did you mean '${near}'?`;
    problems.error(path, `${text} is no label of ${column.type}`, hint);
  }
  return !isNone && !(text === 'null' && column.notNull);
}

/** Fits an expression to its target column: casts, COPY format, comparison. None when it cannot be, which is reported. */
export function mapColumn(
  ctx: ResolveContext,
  given: TypedExpression,
  column: Column,
  path: PathSegment[],
): MappedColumn | undefined {
  const { source, target, problems } = ctx;
  const from = source.types.byOid.get(given.typeOid)!;
  const targetType = target.types.byOid.get(column.typeOid)!;
  const storage = baseType(target.types, targetType);
  const bare = bareLiteral(given.expression);
  if (bare !== undefined && !checkLiteral(ctx, bare, column, storage.labels, path)) return undefined;
  // A bare literal has no type yet: it becomes the target's, as in an INSERT.
  const literal = bare !== undefined && isBuiltin(storage);
  const conversion = literal
    ? ({ kind: 'cast', cast: `pg_catalog.${ident(storage.name)}`, to: storage } as const)
    : convert(source.types, target.types, from, column);
  if (conversion.kind === 'refused') {
    const message = `${given.type} does not go into ${column.name}, which is ${column.type}: ${conversion.message}`;
    problems.error(path, message, conversion.hint);
    return undefined;
  }
  const cast = conversion.kind === 'cast';
  if (!literal) {
    checkMeaning(ctx, from, column, path);
    warnOfDivision(ctx, given, column, path);
    warnOfLoss(ctx, given, column, 'warning' in conversion ? conversion.warning : undefined, path);
  }
  const copyExpression = cast ? `(${given.expression}\n)::${conversion.cast}` : given.expression;
  return {
    column: {
      name: column.name,
      expression: given.expression,
      copyExpression,
      sourceType: given.type,
      targetType: column.type,
      compareExpression: comparable(target.types, copyExpression, column),
      digest: digestOf(target.types, column, source.facts.encoding === target.facts.encoding),
      notNull: column.notNull,
      ...(given.sourceColumn === undefined ? {} : { sourceColumn: given.sourceColumn }),
    },
    binary: travelsInBinary(target.types, cast ? conversion.to : from, targetType),
  };
}

/** Finds a target column that rows may bring a value for. None when there is none, which is reported. */
export function findColumn(
  ctx: ResolveContext,
  columns: Column[],
  name: string,
  table: string,
  path: PathSegment[],
): Column | undefined {
  const column = columns.find((each) => each.name === name);
  if (!column) {
    const near = nearest(
      name,
      columns.map((each) => each.name),
    );
    const hint =
      near === undefined ? 'Column names are written as they are, without quotes.' : `Did you mean ${near}?`;
    ctx.problems.error(path, `${table} has no column ${name} in the target`, hint);
  } else if (column.generated) {
    ctx.problems.error(
      path,
      `${name} is a generated column of ${table}`,
      'Leave it out: the target computes it.',
    );
    return undefined;
  }
  return column;
}

/** Reports target columns that must have a value and get none. */
export function reportMissingValues(
  ctx: ResolveContext,
  columns: Column[],
  mapped: ReadonlySet<string>,
  table: string,
  path: PathSegment[],
): void {
  for (const column of columns) {
    const filled = mapped.has(column.name) || column.hasDefault || column.identity || column.generated;
    if (column.notNull && !filled)
      ctx.problems.error(
        path,
        `${column.name} of ${table} is NOT NULL and gets no value`,
        'Give it an expression, or a default in the target.',
      );
  }
}
