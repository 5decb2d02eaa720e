import type { RowsSettled } from '../../../src/control/quarantine.ts';
import type { QuarantinedRow, QuarantineReason } from '../../../src/ledger/read-quarantine.ts';
import type { QuarantineView } from '../../../src/progress/quarantine.ts';
import { count, plural, timeOfDay } from '../../units.ts';
import { type Palette, palette } from './color.ts';
import { left, printable, right, shorten, widthOf } from './text.ts';

/** What this process lacks to read values that are encrypted. */
export const keyLack = ({ ROWFLEET_QUARANTINE_KEY: key = '' }: NodeJS.ProcessEnv): string =>
  `ROWFLEET_QUARANTINE_KEY ${key.trim() === '' ? 'is not set' : 'holds another key'}`;

const sealedLines = (paint: Palette): string[] => [
  '',
  paint.warn(`values are encrypted, and ${keyLack(process.env)}:`),
  paint.warn('set ROWFLEET_QUARANTINE_KEY to the key that the loaders had'),
];

const value = (text: unknown): string => {
  if (text === null || text === undefined) return 'NULL';
  return typeof text === 'string' ? `'${printable(text)}'` : printable(JSON.stringify(text));
};

/** What tells a driving row from others: its key, else where it stood is all there is. */
function keyOf({ values }: QuarantinedRow): string {
  if (values === undefined) return '(encrypted)';
  if (values.sourceKey === null) return '(no key)';
  return Object.entries(values.sourceKey)
    .map(([column, text]) => `${printable(column)}=${text === null ? 'NULL' : printable(text)}`)
    .join(' ');
}

const ruleOf = ({ constraint, column }: { constraint?: string | null; column?: string | null }): string =>
  printable(constraint ?? column ?? '');

function stateWords({ states, runId, plan }: QuarantineView): string {
  const named = Object.entries(states).filter(([, n]) => n > 0);
  const words = named.map(([state, n]) => `${count(n)} ${state}`).join(', ');
  return `run ${runId} of ${printable(plan)}: ${words === '' ? 'no row in quarantine' : words}`;
}

function reasonLines(reasons: QuarantineReason[], columns: number, paint: Palette): string[] {
  const codes = Math.max(8, ...reasons.map(({ code }) => widthOf(code)));
  const line = ([rows, stage, code, rest]: string[]) =>
    shorten(`${right(rows!, 8)}  ${left(stage!, 10)}  ${left(code!, codes)}  ${rest}`, columns);
  return [
    paint.dim(line(['rows', 'stage', 'code', 'table · constraint or column'])),
    ...reasons.flatMap((reason) => {
      const rule = ruleOf(reason);
      const where = `${printable(reason.relation)}${rule === '' ? '' : ` · ${rule}`}`;
      return [
        line([count(reason.rows), reason.stage, reason.code, where]),
        paint.dim(shorten(`${' '.repeat(10)}${printable(reason.message)}`, columns)),
      ];
    }),
  ];
}

function rowLines(rows: QuarantinedRow[], columns: number, paint: Palette): string[] {
  const widest = (of: (row: QuarantinedRow) => string, least: number, most: number) =>
    Math.min(
      Number.isFinite(columns) ? most : columns,
      Math.max(least, ...rows.map((row) => widthOf(of(row)))),
    );
  const idColumns = widest(({ id }) => id, 4, 12);
  const flowColumns = widest(({ flow }) => printable(flow), 4, 16);
  const keyColumns = widest(keyOf, 10, 28);
  const line = ([id, flow, state, key, reason]: string[]) =>
    shorten(
      `${right(id!, idColumns)}  ${left(flow!, flowColumns)}  ${left(state!, 9)}  ${left(key!, keyColumns)}  ${reason}`,
      columns,
    ).trimEnd();
  return [
    paint.dim(line(['id', 'flow', 'state', 'source key', 'reason'])),
    ...rows.map((row) =>
      line([row.id, printable(row.flow), row.state, keyOf(row), `${row.code} ${ruleOf(row)}`]),
    ),
  ];
}

/** A quarantine in `columns` columns: why rows are in it, most frequent first, then the first rows. */
export function renderQuarantine(view: QuarantineView, columns: number, color: boolean): string[] {
  const paint = palette(color);
  const { rows, matching, runId } = view;
  const lines = [paint.strong(stateWords(view))];
  if (rows.length === 0) return lines;
  lines.push('', ...reasonLines(view.reasons, columns, paint), '', ...rowLines(rows, columns, paint));
  if (matching > rows.length)
    lines.push(
      `… and ${plural(matching - rows.length, 'more row')}: rowfleet quarantine list ${runId} --limit ${matching}`,
    );
  if (rows.some(({ values }) => values === undefined)) lines.push(...sealedLines(paint));
  return [...lines, '', `  rowfleet quarantine show ${rows[0]!.id}   shows a row, and what can be done`];
}

/** Rows that were named and are left as they are. */
export const renderLeft = (left: RowsSettled['left']): string[] =>
  left.map(
    ({ id, state, asEdited }) => `  row ${id} is ${state}${asEdited ? ' as edited' : ''} and stays so`,
  );

const columnLines = (row: Record<string, unknown>): string[] =>
  Object.entries(row).map(([column, text]) => `    ${printable(column)} = ${value(text)}`);

const traceLines = (trace: string): string[] => trace.split('\n').map((line) => `    ${printable(line)}`);

/** Rows of a group that are shown. */
const shownRows = 10;

function valueLines({ values }: QuarantinedRow, paint: Palette): string[] {
  if (values === undefined) return sealedLines(paint);
  const { sourceRow, targetRows, edited, trace } = values;
  const rowsOf = (rows: Record<string, unknown>[]) =>
    rows.flatMap((row, i) => [...(rows.length === 1 ? [] : [`   row ${i + 1}`]), ...columnLines(row)]);
  return [
    ...(trace === null ? [] : ['', paint.strong('what its transform threw'), ...traceLines(trace)]),
    '',
    paint.strong(Array.isArray(sourceRow) ? 'the rows of the group in the source' : 'the row in the source'),
    ...(sourceRow === null
      ? ['    could not be read, or is too large to keep']
      : rowsOf([sourceRow].flat().slice(0, shownRows))),
    ...(Array.isArray(sourceRow) && sourceRow.length > shownRows
      ? [`    … and ${plural(sourceRow.length - shownRows, 'more row')}, all in an export`]
      : []),
    '',
    paint.strong('as it would have been loaded'),
    ...(targetRows === null
      ? ['    cannot be computed: an expression of the plan, or its transform, fails on it']
      : rowsOf(targetRows)),
    ...(edited === null ? [] : ['', paint.strong('as it was edited'), ...rowsOf(edited)]),
  ];
}

function nextLines({ id, runId, state, values }: QuarantinedRow, option: string): string[] {
  const retry = `rowfleet quarantine retry ${id} --run ${runId}${option}`;
  if (state === 'loaded' && values?.edited)
    return ['it is in the target as edited; to load it as the plan yields it:', `  ${retry} --as-source`];
  if (state === 'loaded') return ['it is in the target: there is nothing to do'];
  if (state === 'sent') return [`it is being sent again: rowfleet status ${runId}`];
  return [
    'once the source or the target is mended:',
    `  ${retry}`,
    'to load it otherwise than the plan says:',
    `  rowfleet quarantine export ${id} --out row-${id}.ndjson${option}   then edit its target_rows, and`,
    `  rowfleet quarantine retry --from row-${id}.ndjson --run ${runId}${option}`,
    ...(state === 'discarded'
      ? []
      : [
          'to give it up (the run is never called verified then):',
          `  rowfleet quarantine discard ${id} --run ${runId}${option} --reason "…"`,
        ]),
  ];
}

/** One row in full, and what to type next. It holds row values: for the operator's terminal and nothing else. */
export function renderRow(row: QuarantinedRow, option: string, color: boolean): string[] {
  const paint = palette(color);
  const rule = ruleOf(row);
  const history = row.history.map(
    ({ at, by, did }) => `  ${timeOfDay(new Date(at))}  ${printable(by)}  ${printable(did)}`,
  );
  return [
    `${paint.strong(`row ${row.id}`)} of run ${row.runId}: ${printable(row.flow)} → ${printable(row.relation)}, ${row.state}`,
    `  key       ${keyOf(row)}`,
    `  refused   ${row.stage} ${row.code}${rule === '' ? '' : ` · ${rule}`}`,
    `            ${printable(row.message)}`,
    `  by        attempt ${row.attempt} of task ${row.taskId}, with revision ${row.revision} of the plan, at ${timeOfDay(row.quarantinedAt)}`,
    ...(row.driving === 1
      ? []
      : [`  holds     ${plural(row.driving, 'row')} of the source, set aside together`]),
    `  yields    ${plural(row.outputs, 'row')}${row.rowsIn === null ? '' : `; ${plural(row.rowsIn, 'row')} of it loaded`}`,
    ...valueLines(row, paint),
    ...(history.length === 0 ? [] : ['', paint.strong('since then'), ...history]),
    '',
    ...nextLines(row, option),
  ];
}
