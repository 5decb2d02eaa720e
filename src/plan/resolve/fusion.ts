import { type Column, readColumns, readKeys } from '../../catalog/columns.ts';
import type { Relation } from '../../catalog/relations.ts';
import { display } from '../../pg/quote.ts';
import type { PathSegment } from '../path.ts';
import type { ConflictSpec } from '../plan.ts';
import type { Fusion, ResolvedColumn, ResolvedOrder } from '../resolved-plan.ts';
import { checkTexts } from '../sql/check-texts.ts';
import type { Describer } from '../sql/describe.ts';
import { lex } from '../sql/text.ts';
import type { Frame } from '../statements/select.ts';
import { findColumn, type TypedExpression } from './columns.ts';
import type { ResolveContext } from './context.ts';
import { baseType, isBuiltin } from './conversions.ts';
import { travelsInBinary } from './digests.ts';
import { typeExpressions } from './expressions.ts';

/** Types that both servers put into one order; text by its bytes. */
const ordered = new Set([
  'bool', 'int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'date', 'time', 'timestamp', 'timestamptz', 'interval', 'uuid',
  'text', 'varchar', 'bytea',
]); // biome-ignore format: one list

/** An item of ORDER BY, taken apart. */
function readOrder(text: string): { expression: string; descending: boolean; nullsFirst: boolean } {
  const { tokens } = lex(text);
  const words = tokens.map(({ kind, text: word }) => (kind === 'word' ? word : ''));
  let end = tokens.length;
  const nulls = words[end - 2] === 'nulls' ? words[end - 1] : undefined;
  if (nulls !== undefined) end -= 2;
  const direction = end > 1 && /^(asc|desc)$/.test(words[end - 1]!) ? words[--end] : 'asc';
  const descending = direction === 'desc';
  const expression = text.slice(0, tokens[end]?.at ?? text.length).trim();
  return { expression, descending, nullsFirst: nulls === undefined ? descending : nulls === 'first' };
}

function orderColumn(
  ctx: ResolveContext,
  given: TypedExpression,
  name: string,
  path: PathSegment[],
): { column: ResolvedColumn; binary: boolean } | undefined {
  const types = ctx.source.types;
  // A bare string has no type yet.
  const from = baseType(types, types.byOid.get(given.typeOid)!);
  const type = from.name === 'unknown' ? types.byOid.get(25)! : from;
  if (!isBuiltin(type) || !ordered.has(type.name)) {
    const hint = 'Cast it to a number, a time or text: (…)::text.';
    ctx.problems.error(
      path,
      `source and target need not put values of type ${given.type} into one order`,
      hint,
    );
    return undefined;
  }
  const expression = `(${given.expression}\n)::pg_catalog.${type.name}`;
  const column: ResolvedColumn = {
    name,
    expression: given.expression,
    ...{ copyExpression: expression, compareExpression: expression },
    ...{ sourceType: given.type, targetType: `pg_catalog.${type.name}` },
    ...{ digest: 'text', notNull: false },
  };
  return { column, binary: travelsInBinary(types, type, type) };
}

async function readKey(
  ctx: ResolveContext,
  { key }: ConflictSpec,
  target: Relation,
  filled: ReadonlySet<string>,
  path: PathSegment[],
): Promise<string[] | undefined> {
  const stands = async () => (await readKeys(ctx.target.session, [target.oid])).get(target.oid);
  // A run that is to go on has taken it down.
  const before = ctx.filledBy.get(display(target))?.key ?? [];
  const known = key ?? (await stands()) ?? (before.length === 0 ? undefined : before);
  const at = [...path, key === undefined ? 'on_conflict' : 'conflict_key'];
  if (known === undefined) {
    ctx.problems.error(
      at,
      `${display(target)} has no key`,
      'Say which columns may not meet: conflict_key: [email].',
    );
    return undefined;
  }
  const columns: Column[] = (await readColumns(ctx.target.session, [target.oid])).get(target.oid) ?? [];
  const found = known.map((name) => findColumn(ctx, columns, name, display(target), at));
  const unfilled = known.find((name) => !filled.has(name));
  if (unfilled !== undefined && !found.includes(undefined))
    ctx.problems.error(at, `the flow does not fill ${unfilled}`, 'Rows meet by columns that the flow fills.');
  return unfilled === undefined && !found.includes(undefined) ? known : undefined;
}

/** What on_conflict of an output means: its key, and the order with its types. Undefined when something is wrong, which is reported. */
export async function resolveFusion(
  ctx: ResolveContext,
  describer: Describer,
  { frame, known }: { frame: Frame; known: ReadonlySet<string> },
  spec: ConflictSpec,
  { target, filled }: { target: Relation; filled: ReadonlySet<string> },
  path: PathSegment[],
): Promise<{ fusion: Omit<Fusion, 'ordinal'>; binary: boolean } | undefined> {
  const at = (i: number) => (spec.order.length === 1 ? [...path, 'order'] : [...path, 'order', i]);
  const items = spec.order.map(readOrder);
  const texts = spec.order.map((text, i) => ({ place: 'order' as const, text, path: at(i) }));
  const sound = (await checkTexts(ctx, texts)).every((each) => each !== undefined);
  const key = await readKey(ctx, spec, target, filled, path);
  if (!sound || !key) return undefined;
  const placed = items.map(({ expression }, i) => ({ text: expression, path: at(i) }));
  const typed = await typeExpressions(ctx, describer, frame, known, placed);
  const columns = typed.map((given, i) => given && orderColumn(ctx, given, `rowfleet_order_${i + 1}`, at(i)));
  if (!columns.every((each) => each !== undefined)) return undefined;
  const order = columns.map(({ column }, i): ResolvedOrder => {
    const { descending, nullsFirst } = items[i]!;
    return { column, descending, nullsFirst };
  });
  return { fusion: { rule: spec.rule, key, order }, binary: columns.every(({ binary }) => binary) };
}
