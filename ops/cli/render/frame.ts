import type { FlowProgress, ProgressSnapshot } from '../../../src/progress/types.ts';
import { holdText } from '../../hold-text.ts';
import { bytes, compact, count, duration, percent, plural, timeOfDay } from '../../units.ts';
import { type Palette, palette } from './color.ts';
import { runningChecks } from './running-checks.ts';
import { left, printable, right, shorten, widthOf } from './text.ts';

/** The room a frame may take. */
export interface FrameSize {
  columns: number;
  rows: number;
  color: boolean;
}

const blocks = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar of exactly `columns` columns, in eighths of a column. */
function bar(fraction: number, columns: number): string {
  const eighths = Math.floor(Math.min(1, Math.max(0, fraction)) * columns * 8);
  const filled = '█'.repeat(Math.floor(eighths / 8)) + blocks[eighths % 8];
  return filled + '░'.repeat(columns - filled.length);
}

/** How the columns of a table line are shared out; the wide form from 70 columns on. */
interface Layout {
  wide: boolean;
  name: number;
  bar: number;
}

function layout(snapshot: ProgressSnapshot, columns: number): Layout {
  const wide = columns >= 70;
  const longest = Math.max(8, ...snapshot.flows.map((flow) => widthOf(printable(flow.name))));
  const name = Math.min(longest, Math.floor(columns * (wide ? 0.28 : 0.3)));
  // The wide figures take 6 + 15 + 17 columns, the narrow ones 6 + 9, with the spaces before them.
  const figures = wide ? 38 : 15;
  return { wide, name, bar: Math.max(3, columns - name - 1 - figures) };
}

/** Rows and rows/s (or `instead` of the rate), after the bar. */
function figures(shape: Layout, rows: number, rate: number, instead?: string): string {
  if (!shape.wide) return right(compact(rows), 6) + right(instead ?? `${compact(rate)}/s`, 9);
  const amount = rows < 1e8 ? count(rows) : compact(rows);
  return right(`${amount} rows`, 15) + right(instead ?? `${count(rate)} rows/s`, 17);
}

function tableLine(flow: FlowProgress, shape: Layout, paint: Palette): string {
  const moved = flow.state === 'copying' || flow.state === 'done';
  const amounts = figures(
    shape,
    flow.rows + flow.rowsInFlight,
    flow.rowsPerSecond,
    moved ? undefined : flow.state,
  );
  const color =
    flow.state === 'done' ? paint.good : flow.state === 'failed' ? paint.bad : (text: string) => text;
  const name = left(printable(flow.name), shape.name);
  const share = shape.wide ? right(percent(flow.fraction), 6) : '';
  return `${name} ${color(bar(flow.fraction, shape.bar))}${share}${amounts}`;
}

function etaText(snapshot: ProgressSnapshot): string {
  const { eta } = snapshot.overall;
  return 'seconds' in eta ? `ETA ${duration(eta.seconds)}` : 'ETA not known yet';
}

/** What the fleet does besides copying, in a few words. */
function activity(snapshot: ProgressSnapshot): string {
  const { overall, builds, checks, workers, run } = snapshot;
  const parts: string[] = [];
  const loaders = workers.filter((worker) => worker.kind === 'loader').length;
  if (overall.batches.running > 0)
    parts.push(`${plural(overall.batches.running, 'batch', 'batches')} running`);
  const done = (tasks: typeof builds) => tasks.filter((task) => task.state === 'done').length;
  if (builds.length > 0 && run.phase !== 'verify') parts.push(`builds ${done(builds)}/${builds.length}`);
  if (checks.length > 0) parts.push(`checks ${done(checks)}/${checks.length}`);
  if (run.findings > 0) parts.push(plural(run.findings, 'finding'));
  parts.push(plural(loaders, 'loader'));
  return parts.join(' · ');
}

/** Which process of the fleet is in trouble of its own, and why. */
function fleetTrouble({ workers }: ProgressSnapshot): string | undefined {
  const one = workers.find(({ trouble }) => trouble !== null);
  return one && printable(`${one.kind} ${one.host} pid ${one.pid}: ${one.trouble}`);
}

/** Why the run, or a part of it, waits: what holds it, its own reason, then batches that failed and are tried again. */
function waitingLine(snapshot: ProgressSnapshot): string | undefined {
  const whole = snapshot.holds.find(({ flow }) => flow === null);
  if (whole !== undefined) return printable(holdText(whole, snapshot.at));
  if (snapshot.waiting !== null) return `waiting ${printable(snapshot.waiting)}`;
  const trouble = snapshot.troubled[0];
  const part = snapshot.holds[0];
  if (part !== undefined) return printable(holdText(part, snapshot.at));
  if (trouble === undefined)
    return (
      fleetTrouble(snapshot) ?? (snapshot.run.phase === 'verify' ? runningChecks(snapshot)[0] : undefined)
    );
  const again = trouble.notBefore === null ? trouble.state : `next try ${timeOfDay(trouble.notBefore)}`;
  const tries = trouble.failures === 0 ? 'is tried again' : `failed ${plural(trouble.failures, 'time')}`;
  return printable(`${trouble.label} ${tries} (${again}): ${trouble.error?.message ?? 'no reason recorded'}`);
}

/** The flows to show where not all fit: what runs or failed first, then what waits, done ones last. */
function visible(flows: FlowProgress[], room: number): { shown: FlowProgress[]; rest: FlowProgress[] } {
  if (flows.length <= room) return { shown: flows, rest: [] };
  const rank = { failed: 0, copying: 1, waiting: 2, cancelled: 3, done: 4 };
  const chosen = new Set(
    [...flows].sort((a, b) => rank[a.state] - rank[b.state]).slice(0, Math.max(0, room - 1)),
  );
  return { shown: flows.filter((flow) => chosen.has(flow)), rest: flows.filter((flow) => !chosen.has(flow)) };
}

function restLine(rest: FlowProgress[]): string {
  const done = rest.filter((flow) => flow.state === 'done').length;
  const rows = rest.reduce((total, flow) => total + flow.rows, 0);
  return `… ${plural(rest.length, 'more table')}: ${done} done, ${rest.length - done} to come, ${count(rows)} rows`;
}

/**
 * The progress of a run as lines, each at most `columns` wide and at most `rows` of them: a title, one line per
 * flow, and the whole with its ETA. Where there are more flows than room, those that run are shown.
 */
export function renderFrame(snapshot: ProgressSnapshot, size: FrameSize): string[] {
  const { run, overall } = snapshot;
  const paint = palette(size.color);
  const columns = Math.max(20, size.columns);
  const shape = layout(snapshot, columns);
  const elapsed = duration(run.elapsedSeconds);
  const title = `${printable(run.name)} · run ${run.id} · ${run.state === 'running' ? run.phase : run.state}`;
  const head = `${paint.strong(left(title, columns - elapsed.length - 1))} ${elapsed}`;
  const eta = etaText(snapshot);
  const whole = `${left('all', shape.name)} ${bar(overall.fraction, shape.bar)}`;
  const share = shape.wide ? right(percent(overall.fraction), 6) : '';
  const foot = [
    `${whole}${share}${figures(shape, overall.rows + overall.rowsInFlight, overall.rowsPerSecond)}`,
    paint.dim(shorten(`${eta} · ${bytes(overall.bytesPerSecond)}/s · ${activity(snapshot)}`, columns)),
  ];
  const waiting = waitingLine(snapshot);
  if (waiting !== undefined) foot.push(paint.warn(shorten(waiting, columns)));
  const room = Math.max(1, size.rows - 1 - foot.length);
  const { shown, rest } = visible(snapshot.flows, room);
  const tables = shown.map((flow) => tableLine(flow, shape, paint));
  if (rest.length > 0) tables.push(paint.dim(shorten(restLine(rest), columns)));
  return [head, ...tables, ...foot].slice(0, Math.max(1, size.rows));
}
