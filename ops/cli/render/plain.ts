import type { ProgressSnapshot } from '../../../src/progress/types.ts';
import { holdText } from '../../hold-text.ts';
import { bytes, count, duration, percent, plural, timeOfDay } from '../../units.ts';
import { runningChecks } from './running-checks.ts';
import { printable } from './text.ts';

/** The figures that belong to the phase the run is in. */
function figures(snapshot: ProgressSnapshot): string[] {
  const { overall, builds, checks, run } = snapshot;
  const done = (tasks: typeof builds) => tasks.filter((task) => task.state === 'done').length;
  if (run.state !== 'running') return [`${count(overall.rows)} rows copied`];
  if (run.phase === 'copy') {
    const eta = 'seconds' in overall.eta ? `ETA ${duration(overall.eta.seconds)}` : 'ETA not known yet';
    return [
      `${count(overall.rows + overall.rowsInFlight)} of about ${count(overall.estimatedRows)} rows`,
      `${count(overall.rowsPerSecond)} rows/s`,
      `${bytes(overall.bytesPerSecond)}/s`,
      `${plural(overall.batches.running, 'batch', 'batches')} running, ${count(overall.batches.done)} done`,
      eta,
    ];
  }
  if (run.phase === 'index') return [`builds ${done(builds)} of ${builds.length}`];
  if (run.phase === 'verify') {
    const counted = `checks ${done(checks)} of ${checks.length}`;
    return [counted, ...runningChecks(snapshot), plural(run.findings, 'finding')];
  }
  return [];
}

/** The progress of a run as one line, for an output that is no terminal. */
export function renderLine(snapshot: ProgressSnapshot): string {
  const { run, overall, at, waiting, holds } = snapshot;
  const head = `${timeOfDay(at)}  run ${run.id}  ${run.state === 'running' ? run.phase : run.state}`;
  const parts = [head, percent(overall.fraction), ...figures(snapshot)];
  if (holds.length > 0) parts.push(...holds.map((hold) => printable(holdText(hold, at))));
  if (waiting !== null && !holds.some(({ reason }) => reason === waiting))
    parts.push(`waiting ${printable(waiting)}`);
  return parts.join('  ');
}
