import type { ExplainedColumn, ExplainedFlow, ExplainedValue } from '../../../src/plan/explain.ts';
import type { Palette } from './color.ts';
import { left, printable, shorten, widthOf, wrap } from './text.ts';

const width = 80;

/** Instead of a value of the plan's. */
const leftOut = {
  default: 'its default',
  identity: 'the next of its sequence',
  generated: 'computed by the target',
  null: 'NULL',
  new: 'an id of its own for each old key',
};

/** SQL on one line, with nothing in it that a terminal would obey. */
const oneLine = (sql: string): string => printable(sql.trim().replace(/\s*\n\s*/g, ' '));

/** Text behind a head, on as many lines as it takes, each set in to where the text begins. */
function behind(head: string, text: string): string[] {
  const indent = ' '.repeat(widthOf(head));
  const lines = wrap(text, width - indent.length - 4).map((line) => line.trimStart());
  return lines.map((line, i) => shorten(`${i === 0 ? head : indent}${line}`, width));
}

function typesLine({ sourceType, targetType, cast }: ExplainedValue): string {
  if (sourceType === targetType) return `${targetType}, as it is`;
  return `${sourceType} → ${targetType}${cast === undefined ? '' : `, cast to ${cast}`}`;
}

/** What a value is made of, and its types, below its expression. */
function valueLines(value: ExplainedValue, indent: string): string[] {
  const names = value.from.map(({ table, column }) => (table === '?' ? '?' : `${table}.${column}`));
  const from = names.length === 0 ? 'from no source column' : `from ${names.join(', ')}`;
  return [from, typesLine(value)].flatMap((line) => behind(indent, printable(line)));
}

/** A column's lines; `room` is what the names of all take. */
function columnLines(
  column: ExplainedColumn,
  room: number,
  { dim }: Palette,
  transform: ExplainedFlow['transform'],
): string[] {
  const head = `  ${left(printable(column.name), room)} ← `;
  const indent = ' '.repeat(room + 5);
  if (column.way === 'left out')
    return [dim(shorten(`${head}${leftOut[column.instead]} (${printable(column.targetType)})`, width))];
  if (column.way === 'transform')
    return [...behind(head, oneLine(transform!.by)), dim(`${indent}${printable(column.targetType)}`)];
  if (column.way === 'expression')
    return [...behind(head, oneLine(column.expression)), ...valueLines(column, indent).map(dim)];
  return [
    ...behind(head, printable(`${column.take} of ${column.table}, looked up by`)),
    ...column.by.flatMap((key) => [
      ...behind(indent, oneLine(`${key.name} = ${key.expression}`)),
      ...valueLines(key, `${indent}  `).map(dim),
    ]),
  ];
}

/** What becomes of rows with one key. */
const survivor = {
  skip: 'the first stays',
  update: 'the last stays',
  merge: 'the first values that are not NULL stay',
};

/** How rows get from here to there. */
function travel({ transform, backfill, columns, format }: ExplainedFlow): string {
  if (backfill) return `its rows are updated where they stand, found by ${backfill.key.join(', ')}`;
  if (transform) return `its rows go through ${transform.by}`;
  const how = format === 'binary' ? 'its bytes pass through as they are' : 'its rows pass through as text';
  return columns.some(({ way }) => way === 'lookup') ? `${how}, values are looked up on the way` : how;
}

/** What holds for all rows of a flow, line by line. */
function flowLines(flow: ExplainedFlow): string[] {
  const { join, where, grouping, fusion, readWith } = flow;
  return [
    ...(join === '' ? [] : [`joined with: ${join}`]),
    ...(where === '' ? [] : [`rows where: ${where}`]),
    ...(grouping
      ? [
          `${grouping.kind === 'group' ? 'one row a' : 'windows over each'} group of: ${grouping.by.join(', ')}`,
        ]
      : []),
    ...(fusion
      ? [
          `${survivor[fusion.rule]} of rows with one (${fusion.key.join(', ')}), by ${fusion.order.join(', ')}`,
        ]
      : []),
    readWith === undefined ? travel(flow) : `${travel(flow)}, in the read of ${readWith}`,
  ];
}

/** What a transform is given, column by column. */
function inputLines({ transform }: ExplainedFlow, { dim }: Palette): string[] {
  if (transform === undefined) return [];
  return transform.input.flatMap((value) => [
    ...behind('  ', oneLine(`given ${value.name} = ${value.expression}`)),
    ...valueLines(value, '    ').map(dim),
  ]);
}

/** The columns that share a place in a list of at most this many columns. */
const widest = 24;

/** `plan explain` for people, in 80 columns: flow by flow, column by column. */
export function explainedLines(flows: ExplainedFlow[], paint: Palette): string[] {
  return flows.flatMap((flow, i) => {
    const { name, from, alias, to, columns } = flow;
    const room = Math.min(widest, Math.max(...columns.map((column) => widthOf(printable(column.name)))));
    return [
      ...(i === 0 ? [] : ['']),
      ...behind('', printable(`${name}: ${from} ${alias} → ${to}`)).map(paint.strong),
      ...flowLines(flow).flatMap((line) => behind('  ', oneLine(line))),
      ...inputLines(flow, paint),
      ...columns.flatMap((column) => columnLines(column, room, paint, flow.transform)),
    ];
  });
}
