import type { Column } from '../../catalog/columns.ts';
import type { DataType } from '../../catalog/data-types.ts';
import { mapColumn, type TypedExpression } from '../resolve/columns.ts';
import type { Side } from '../resolve/context.ts';
import { baseType, isBuiltin } from '../resolve/conversions.ts';
import { writeIdentifier } from '../sql/names.ts';
import { preflightSays } from './survey.ts';

/** How a source column gets into a target column: an expression with what is to be known about it, or a decision. */
export type Fit =
  | {
      expression: string;
      warnings: string[];
      cast: boolean;
      /** Values may be there that the cast refuses. */
      mayRefuse: boolean;
    }
  | { decide: string };

const texts = new Set(['text', 'varchar', 'bpchar']);

/** What text says in one way only, or is refused. Dates are not among them: 01/02/03 is one in three ways. */
const readFromText = new Set([
  'int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'bool', 'uuid', 'json', 'jsonb', 'interval', 'inet', 'cidr',
  'macaddr', 'macaddr8', 'xml',
]); // biome-ignore format: one list

/** The type to write behind `::` where PostgreSQL converts only if told to; none where that takes a decision. */
function explicitCast(source: Side, target: Side, from: DataType, to: DataType): string | undefined {
  if (!isBuiltin(to)) {
    const lacking = from.labels?.filter((label) => !to.labels?.includes(label));
    return to.labels && lacking?.length === 0 ? 'text' : undefined;
  }
  const fromText = isBuiltin(from) && texts.has(from.name) && readFromText.has(to.name);
  // `::bit` alone is bit(1), which cuts.
  const told = source.types.explicitCasts.has(`${from.oid}>${to.oid}`) && to.name !== 'bit';
  return (fromText || told) && target.types.byOid.has(to.oid) ? writeIdentifier(to.name) : undefined;
}

const ask = (source: Side, target: Side, given: TypedExpression, column: Column) =>
  preflightSays(source, target, (ctx) => mapColumn(ctx, given, column, []));

function withCast(source: Side, target: Side, given: TypedExpression, column: Column): Fit | undefined {
  const from = baseType(source.types, source.types.byOid.get(given.typeOid)!);
  const to = baseType(target.types, target.types.byOid.get(column.typeOid)!);
  const cast = explicitCast(source, target, from, to);
  if (cast === undefined) return undefined;
  const type = cast === 'text' ? [...source.types.byOid.values()].find(isText)! : to;
  const expression = `${given.expression}::${cast}`;
  const { answer, problems } = ask(
    source,
    target,
    { expression, typeOid: type.oid, typmod: -1, type: cast },
    column,
  );
  if (!answer) return undefined;
  const mayRefuse = texts.has(from.name) || from.name === 'jsonb';
  return { expression, warnings: problems.map(({ message }) => message), cast: true, mayRefuse };
}

const isText = (type: DataType): boolean => type.name === 'text' && isBuiltin(type);

/** Labels of the source's enum that the target's lacks, where that is what keeps the two apart. */
function lackingLabels(source: Side, target: Side, given: TypedExpression, column: Column): string {
  const from = baseType(source.types, source.types.byOid.get(given.typeOid)!);
  const to = baseType(target.types, target.types.byOid.get(column.typeOid)!);
  const lacking = from.labels?.filter((label) => to.labels?.includes(label) === false) ?? [];
  return lacking.length === 0 ? '' : `; ${column.type} lacks the labels ${lacking.join(', ')}`;
}

/** Fits a column as preflight will see it; `expression` is the column as SQL of the flow. */
export function fitColumn(source: Side, target: Side, from: Column, expression: string, column: Column): Fit {
  const given = { expression, typeOid: from.typeOid, typmod: from.typmod, type: from.type };
  const { answer, problems } = ask(source, target, given, column);
  const error = problems.find(({ severity }) => severity === 'error');
  const warnings = problems.map(({ message }) => message);
  if (answer && !error) return { expression, warnings, cast: false, mayRefuse: false };
  const fitted = answer ? undefined : withCast(source, target, given, column);
  if (fitted) return fitted;
  const example = error?.hint?.replace(/\(…\)/g, expression) ?? '';
  const labels = lackingLabels(source, target, given, column);
  return { decide: `${error?.message}${labels}. ${example}`.trim() };
}
