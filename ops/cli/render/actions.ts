import type { CapturedObject, KeptObject } from '../../../src/constraints/types.ts';
import type { Actions } from '../../../src/control/preview/actions.ts';
import type { FlowStatements, OutputStatements } from '../../../src/control/preview/statements.ts';
import { display } from '../../../src/pg/quote.ts';
import { plural } from '../../units.ts';
import type { Palette } from './color.ts';
import { printable, wrap } from './text.ts';

/** What closes one expression of a select list and opens the next. */
const between = /^(\)(?:::[\w."\s]+(?:\([\d,]+\))?(?:\[\])*| is true)?\)*,) (\(.*)$/;

/** Plan text keeps its own line, since it may end in a comment; where it does not, a line for each expression reads better. */
function folded(sql: string): string[] {
  const lines: string[] = [];
  for (const line of sql.split('\n')) {
    const last = lines.length - 1;
    if (!line.startsWith(')') || lines[last]?.includes('--') !== false) {
      lines.push(line);
      continue;
    }
    const [, close = line, next] = between.exec(line) ?? [];
    lines[last] += close;
    if (next !== undefined) lines.push(`  ${next}`);
  }
  return lines;
}

/** A statement on lines of its own, indented, with nothing in it that a terminal would obey. */
function statement(sql: string, indent = 4): string[] {
  const lines = folded(sql).map((line) => line.trimEnd());
  return lines.filter((line) => line !== '').map((line) => `${' '.repeat(indent)}${printable(line)}`);
}

const statements = (all: string[], indent?: number): string[] =>
  all.flatMap((sql) => statement(`${sql.replace(/;\s*$/, '')};`, indent));

const undo = (all: string[]): string[] => ['      undo:', ...statements(all, 8)];

const objectName = ({ kind, name, relation }: CapturedObject | KeptObject): string =>
  `${kind} ${printable(name)} on ${printable(display(relation))}`;

const downLines = (object: CapturedObject, paint: Palette): string[] => [
  `  ${paint.strong('take down')} ${objectName(object)}`,
  ...statements(object.takeDown),
  ...undo(object.bringBack),
];

/** What is done rather than brought back is spelled out; what comes back is spelled out where it goes down. */
const backLines = (object: CapturedObject): string[] =>
  object.takeDown.length > 0
    ? [`  bring back ${objectName(object)}: as above`]
    : [`  ${objectName(object)}`, ...statements(object.bringBack)];

function batchesOf({ batches }: FlowStatements): string {
  if (batches.kind === 'key') return `in ranges of ${printable(batches.column)}`;
  return batches.kind === 'blocks' ? 'in ranges of ctid' : 'in one batch';
}

const outputLines = ({ flow, to, statements: all }: OutputStatements, several: boolean): string[] => [
  ...(several ? [`    → ${printable(to)}, as ${printable(flow)}`] : []),
  ...statements(all),
];

/** How its rows get from here to there. */
function travelOf({ copyOut, transform, format }: FlowStatements): string {
  if (copyOut.length === 0) return 'updated in place';
  return transform === undefined ? format : `through ${printable(transform)}`;
}

function flowLines(flow: FlowStatements, paint: Palette): string[] {
  const { outputs, copyOut } = flow;
  const to = outputs.length === 1 ? printable(outputs[0]!.to) : plural(outputs.length, 'table');
  return [
    `  ${paint.strong(printable(flow.flow))}: ${printable(flow.from)} → ${to} (${travelOf(flow)}, ${batchesOf(flow)})`,
    ...statements(copyOut.slice(0, 1)),
    ...(copyOut.length > 1 ? [`    … and ${plural(copyOut.length - 1, 'more leaf', 'more leaves')}`] : []),
    ...outputs.flatMap((output) => outputLines(output, outputs.length > 1)),
  ];
}

function copyLines({ flows, empty, filled, updated }: Actions, order: string[], paint: Palette): string[] {
  const ordered = flows.toSorted((a, b) => order.indexOf(a.flow) - order.indexOf(b.flow));
  return [
    ...ordered.flatMap((flow) => flowLines(flow, paint)),
    ...(empty.length === 0 ? [] : ['  undo of all of these (rowfleet cancel):', ...statements(empty)]),
    ...filled.map(
      (name) => `  no undo for ${printable(name)}: it holds rows already, and those that come stay`,
    ),
    ...updated.map((name) => `  no undo for ${printable(name)}: its rows are updated where they stand`),
  ];
}

function checkLines({ checks }: Actions): string[] {
  const kinds = [...new Set(checks.map(({ check }) => check))];
  const numbers = kinds.map((kind) => `${kind} ${checks.filter(({ check }) => check === kind).length}`);
  return [`  ${plural(checks.length, 'check')}: ${numbers.join(', ')}`];
}

function finishLines({ finish, candidates }: Actions): string[] {
  const sequences = finish.sequences.map(
    ({ sequence, table, column }) =>
      `  ${printable(display(sequence))} is set past the highest ${printable(column)} that ${printable(display(table))} and the source hold then`,
  );
  const all = [
    ...finish.objects.flatMap(({ bringBack }) => bringBack),
    ...candidates.map(({ drop }) => drop),
  ];
  return [...sequences, ...statements(all)];
}

/** What is said about statements is wrapped; they themselves are as they are. */
const inTerminal = (line: string): string[] => (/^ {2}\S/.test(line) ? wrap(line, 80) : [line]);

/**
 * What a run would execute, phase by phase, as lines.
 * @param order names of flows, in the order in which they are begun
 * @param schema DDL files that are applied first
 */
export function renderActions(actions: Actions, order: string[], schema: string[], paint: Palette): string[] {
  const { idMaps, candidates, objects, kept, fusions } = actions;
  const back = objects.toReversed();
  const phase = (title: string, lines: string[]) =>
    lines.length === 0 ? [] : ['', paint.strong(title), ...lines.flatMap(inTerminal)];
  return [
    ...phase('prepare', [
      ...schema.map((name) => `  apply ${printable(name)}`),
      ...idMaps.flatMap(({ name, create }) => [
        `  id map ${printable(name)}, which stays after the run`,
        ...statements([create]),
      ]),
      ...candidates.flatMap(({ to, create, drop }) => [
        `  make room for rows of ${printable(to)} that may have one key`,
        ...statements(create),
        ...undo([drop]),
      ]),
      ...objects.flatMap((object) => downLines(object, paint)),
      ...kept.map((one) => `  ${objectName(one)} stays up: ${printable(one.reason)}`),
    ]),
    ...phase('copy', copyLines(actions, order, paint)),
    ...phase('index: when the last batch of a table is in', [
      ...fusions.flatMap(backLines),
      ...back.filter((object) => object.phase === 'index').flatMap(backLines),
    ]),
    ...phase('verify', checkLines(actions)),
    ...phase(
      'constrain: when the validator has found nothing',
      back.filter((object) => object.phase === 'constrain').flatMap(backLines),
    ),
    ...phase('finish', [
      ...back.filter((object) => object.phase === 'finish').flatMap(backLines),
      ...finishLines(actions),
    ]),
  ];
}
