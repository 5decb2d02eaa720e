import type { FlowForecast, Forecast } from '../../../src/control/preview/forecast.ts';
import type { SourceCounts } from '../../../src/plan/count/source-counts.ts';
import { bytes, count, duration, plural } from '../../units.ts';
import type { Palette } from './color.ts';
import { left, printable, right, widthOf, wrap } from './text.ts';

/** Two digits are all that an estimate is good for. */
function about(value: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 1);
  return Math.round(value / unit) * unit;
}

const seconds = (value: number): string => (value < 1 ? 'under 1 s' : `about ${duration(about(value))}`);

function flowLine(flow: FlowForecast, number: number, names: number): string[] {
  const figures = [
    right(`about ${count(about(flow.rows))} rows`, 22),
    right(bytes(flow.bytes), 9),
    right(flow.batches === undefined ? '' : `about ${plural(about(flow.batches), 'batch', 'batches')}`, 19),
  ];
  const line =
    `  ${right(String(number), 2)}  ${left(printable(flow.flow), names)}${figures.join('')}`.trimEnd();
  const waits = flow.waitsFor.map(printable).join(', ');
  return waits === '' ? [line] : [line, `      behind ${waits}: its rows are looked up there`];
}

function readingLines({ flows, measured }: Forecast): string[] {
  const known = flows.filter(({ seconds }) => seconds !== undefined);
  const unknown = flows.flatMap(({ flow, reading }) =>
    reading.kind === 'none' && flows.length > 0 ? [`${printable(flow)} (${reading.reason})`] : [],
  );
  const sum = known.reduce((total, flow) => total + flow.seconds!, 0);
  const rest = unknown.length === 0 ? '' : `; not in it: ${unknown.join(', ')}`;
  if (known.length === 0) return [`reading: not measured: ${unknown.join(', ')}`];
  return [
    `reading: ${seconds(sum)} with one batch at a time, as the source gave ${count(measured.rows)} rows (${bytes(measured.bytes)}) just now${rest}`,
  ];
}

function paceLines({ flows, earlier }: Forecast): string[] {
  if (earlier === undefined)
    return ['loading, keys, indexes and checks come on top: no run of this plan has measured them here'];
  const rows = flows.reduce((total, flow) => total + flow.rows, 0);
  const share = rows / earlier.rows;
  return [
    `run ${earlier.id} copied ${count(earlier.rows)} rows in ${duration(earlier.copySeconds)} and took ${duration(earlier.elapsedSeconds)} in all`,
    `at its pace: ${seconds(earlier.copySeconds * share)} to copy, ${seconds(earlier.elapsedSeconds * share)} in all, with as many loaders on machines as busy as then`,
  ];
}

/** What a join does to the driving rows of a flow. */
export interface CountedJoin extends SourceCounts {
  flow: string;
}

function joinLine({ flow, driving, outputs, yielding, unmatched = 0, filtered = 0 }: CountedJoin): string {
  const lost = [
    ...(unmatched > 0 ? [`${count(unmatched)} meet no row`] : []),
    ...(filtered > 0 ? [`${count(filtered)} are left out by where`] : []),
  ];
  const made = `give ${plural(outputs, 'row')}`;
  if (lost.length === 0) return `  ${printable(flow)}: ${plural(driving, 'driving row')} ${made}`;
  const all = [...lost, `${count(yielding ?? driving)} ${made}`].join(', ');
  return `  ${printable(flow)}: of ${plural(driving, 'driving row')} ${all}`;
}

/** What joins were counted to do to driving rows, as lines. */
export function renderJoins(joins: CountedJoin[], columns: number, paint: Palette): string[] {
  if (joins.length === 0) return [];
  const lines = joins.flatMap((join) => wrap(joinLine(join), columns));
  return ['', paint.strong('joins: counted on the source'), ...lines];
}

/** What copying will come to, in the order in which flows are begun, as lines. */
export function renderForecast(forecast: Forecast, columns: number, paint: Palette): string[] {
  const names = Math.min(24, Math.max(...forecast.flows.map(({ flow }) => widthOf(printable(flow)))));
  return [
    '',
    paint.strong('order, batches and time: estimates'),
    ...forecast.flows.flatMap((flow, i) => flowLine(flow, i + 1, names)),
    ...[...readingLines(forecast), ...paceLines(forecast)].flatMap((line) => wrap(`  ${line}`, columns)),
  ];
}
