import type { RecordedFinding } from '../../../src/ledger/read-findings.ts';
import type { RunSummary } from '../../../src/ledger/read-run.ts';
import type { TaskProgress } from '../../../src/ledger/read-tasks.ts';
import type { ProgressSnapshot } from '../../../src/progress/types.ts';
import { bytes, count, duration, plural } from '../../units.ts';
import { type Palette, palette } from './color.ts';
import { renderFindings } from './findings.ts';
import { codeOf, printable } from './text.ts';

/** `accounting 5, count 4, digest 4`: how many of each kind. */
function byKind(tasks: TaskProgress[], kindOf: (task: TaskProgress) => string): string {
  const kinds = new Map<string, number>();
  for (const task of tasks) kinds.set(kindOf(task), (kinds.get(kindOf(task)) ?? 0) + 1);
  return [...kinds].map(([kind, n]) => `${kind} ${count(n)}`).join(', ');
}

const headlines: Record<string, (paint: Palette, run: RunSummary) => string> = {
  verified: (paint) => paint.good('verified'),
  findings: (paint) => paint.bad('finished with findings'),
  quarantined: (paint, { quarantined }) =>
    paint.bad(`finished with ${plural(quarantined, 'row')} in quarantine`),
  failed: (paint) => paint.bad('failed'),
  cancelled: (paint) => paint.warn('cancelled'),
  stopped: (paint) => paint.warn('stopped'),
};

function figures(snapshot: ProgressSnapshot): string[] {
  const { overall, builds, checks, run } = snapshot;
  const took = `  took     ${duration(run.elapsedSeconds)} in all`;
  if (run.state === 'cancelled')
    return run.kind === 'validate'
      ? ['  nothing was changed: it only read', took]
      : ['  what was taken down is back, tables that were empty are empty again', took];
  const lines: string[] = [];
  if (run.kind === 'migrate') {
    lines.push(
      `  copied   ${count(overall.rows)} rows, ${bytes(overall.bytes)} in ${duration(overall.copySeconds)} · ` +
        `${count(overall.rowsPerSecond)} rows/s · ${bytes(overall.bytesPerSecond)}/s · ` +
        plural(overall.batches.done, 'batch', 'batches'),
    );
  }
  const built = builds.filter((task) => task.state === 'done' && (task.evidence?.findings ?? 0) === 0);
  if (builds.length > 0)
    lines.push(`  built    ${built.length} of ${plural(builds.length, 'index or key', 'indexes and keys')}`);
  const done = checks.filter((task) => task.state === 'done');
  if (checks.length > 0) {
    const kinds = byKind(done, (task) => task.label.split(' ')[0] ?? '');
    lines.push(`  checked  ${done.length} of ${checks.length}${kinds === '' ? '' : `: ${kinds}`}`);
  }
  if (run.quarantined > 0)
    lines.push(
      `  refused  ${plural(run.quarantined, 'row')} in quarantine: rowfleet quarantine list ${run.id}`,
    );
  return [...lines, took];
}

/** Who stopped a run, as its events tell. */
const whoStopped = ({ events }: ProgressSnapshot): string | undefined =>
  events.findLast(({ message }) => message === 'stopped')?.actor;

/** How a run ended, in a few lines: the result, the figures, what was found or went wrong, and the next step. */
export function renderSummary(
  snapshot: ProgressSnapshot,
  findings: RecordedFinding[],
  color: boolean,
): string[] {
  const { run } = snapshot;
  const paint = palette(color);
  const headline = headlines[run.state]?.(paint, run) ?? run.state;
  const lines = [`${headline}: run ${run.id} of ${printable(run.name)}`, ...figures(snapshot)];
  const by = run.state === 'stopped' ? whoStopped(snapshot) : undefined;
  if (by !== undefined) lines.push(`  cause    run ${run.id} was stopped by ${printable(by)}`);
  if (run.error !== null) {
    lines.push(`  ${paint.bad('cause')}    ${printable(run.error.message)} ${paint.dim(codeOf(run.error))}`);
    if (run.error.hint !== undefined) lines.push(`           → ${printable(run.error.hint)}`);
  }
  if (findings.length > 0)
    lines.push(`  ${plural(findings.length, 'finding')}:`, ...renderFindings(findings, paint, 5));
  return lines;
}
