import type {
  DrivingSample,
  FlowSample,
  SampledOutput,
  SampledRefusal,
  SampledValue,
} from '../../../src/control/preview/sample/types.ts';
import { plural } from '../../units.ts';
import type { Palette } from './color.ts';
import { left, printable, shorten, widthOf, wrap } from './text.ts';

/** Lines are as wide as a terminal mostly is, piped too: they are meant to be read. */
const columns = 80;
const half = 38;

const shownValue = ({ value, pending }: SampledValue): string => {
  if (pending !== undefined) return `(${pending})`;
  return value === null ? 'NULL' : `'${value}'`;
};

/** Column and value in `room` columns. */
function cell(value: SampledValue, names: number, room: number): string {
  const text = `${left(printable(value.column), names)} ${printable(shownValue(value))}`;
  return shorten(text, room);
}

const namesOf = (values: SampledValue[], most: number): number =>
  Math.min(most, Math.max(1, ...values.map(({ column }) => widthOf(printable(column)))));

const cells = (values: SampledValue[]): string[] => {
  const names = namesOf(values, 14);
  return values.map((value) => cell(value, names, half));
};

/** Two lists of lines beside each other. */
const besides = (ours: string[], theirs: string[]): string[] =>
  Array.from({ length: Math.max(ours.length, theirs.length) }, (_, i) =>
    `  ${left(ours[i] ?? '', half)}  ${theirs[i] ?? ''}`.trimEnd(),
  );

/** What a driving row becomes in one table. */
function afterLines({ rows, more, none }: SampledOutput): string[] {
  if (none !== undefined) return wrap(`no row: ${none}`, half);
  const lines = rows.flatMap(({ values }, i) => [...(i === 0 ? [] : ['–']), ...cells(values)]);
  return more ? [...lines, '… and more rows'] : lines;
}

function refusalLine(refusal: SampledRefusal, row: string): string {
  const { side, code, column, constraint, message, hint } = refusal;
  const place = [column, constraint]
    .filter((each) => each !== undefined)
    .map(printable)
    .join(', ');
  const by = place === '' ? `by the ${side}` : place;
  const coded = message.includes(code) ? '' : ` [${code}]`;
  return `  ${hint ? 'may be refused' : 'refused'}: ${row}${by}: ${printable(message)}${coded}`;
}

function refusalLines({ outputs }: DrivingSample, paint: Palette): string[] {
  const many = outputs.length > 1;
  return outputs.flatMap(({ to, rows, refusals }) => {
    const of = many ? `${printable(to)}, ` : '';
    const named = [
      ...refusals.map((refusal) => ({ refusal, row: of })),
      ...rows.flatMap((row, i) =>
        row.refusals.map((refusal) => ({ refusal, row: rows.length > 1 ? `${of}row ${i + 1} of it, ` : of })),
      ),
    ];
    return named.flatMap(({ refusal, row }) =>
      wrap(refusalLine(refusal, row), columns).map(refusal.hint ? paint.warn : paint.bad),
    );
  });
}

function rowLines(row: DrivingSample, number: number, of: string, paint: Palette): string[] {
  const { before, outputs } = row;
  const after = outputs.flatMap((output) => [
    ...(outputs.length > 1 ? [`→ ${shorten(printable(output.to), half - 2)}`] : []),
    ...afterLines(output),
  ]);
  return [
    paint.dim(`  ${left(`${of} ${number}`, half)}  after`),
    ...besides(cells(before), after),
    ...refusalLines(row, paint),
  ];
}

/** Rows of a sample with something to refuse about them, hints left out. */
export function countRefused({ rows }: FlowSample): number {
  const isRefused = (refusals: SampledRefusal[]) => refusals.some(({ hint }) => !hint);
  return rows.filter(({ outputs }) =>
    outputs.some(
      (output) => isRefused(output.refusals) || output.rows.some((row) => isRefused(row.refusals)),
    ),
  ).length;
}

/** Driving rows before and after, side by side in 80 columns. Holds values of rows: for the operator's terminal and nothing else. */
export function renderSample(sample: FlowSample, paint: Palette): string[] {
  const { flow, from, rows, remarks, of } = sample;
  const refused = countRefused(sample);
  const to = [...new Set(rows.flatMap(({ outputs }) => outputs.map((output) => printable(output.to))))];
  const title = `sample of ${printable(flow)}: ${printable(from)}${to.length === 0 ? '' : ` → ${to.join(', ')}`}`;
  const summary = rows.length === 0 ? 'no rows' : plural(rows.length, of);
  return [
    '',
    ...wrap(title, columns).map(paint.strong),
    `  ${summary}${refused === 0 ? '' : paint.bad(`, ${refused} would be refused`)}`,
    ...remarks.flatMap((remark) => wrap(`  note: ${printable(remark)}`, columns)),
    ...rows.flatMap((row, i) => rowLines(row, i + 1, of, paint)),
  ];
}
