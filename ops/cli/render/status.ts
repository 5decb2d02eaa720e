import { assignmentsOf } from '../../../src/control/settings.ts';
import type { RecordedFinding } from '../../../src/ledger/read-findings.ts';
import type { RunSummary } from '../../../src/ledger/read-run.ts';
import type { RunningAttempt, TaskProgress } from '../../../src/ledger/read-tasks.ts';
import type { FlowProgress, ProgressSnapshot } from '../../../src/progress/types.ts';
import { holdText } from '../../hold-text.ts';
import { bytes, count, duration, percent, plural, timeOfDay } from '../../units.ts';
import { type Palette, palette } from './color.ts';
import { renderFindings } from './findings.ts';
import { table } from './table.ts';
import { codeOf, printable } from './text.ts';

/** The runs of a target as a table, newest first. */
export function renderRuns(runs: RunSummary[], color: boolean): string[] {
  if (runs.length === 0) return ['no runs yet: rowfleet migrate -c plan.yaml starts one'];
  const paint = palette(color);
  const [head, ...lines] = table(
    [
      ['run', 'plan', 'kind', 'state', 'phase', 'findings', 'started', 'took'],
      ...runs.map((run) => [
        run.id,
        printable(run.name),
        run.kind,
        run.heldBy === null ? run.state : run.heldBy === 'pause' ? 'paused' : 'held',
        run.phase,
        count(run.findings),
        run.createdAt.toISOString().slice(0, 19).replace('T', ' '),
        duration(run.elapsedSeconds),
      ]),
    ],
    [0, 5, 7],
  );
  return [paint.dim(head!), ...lines];
}

function headLines(snapshot: ProgressSnapshot, paint: Palette): string[] {
  const { run, overall, waiting, holds } = snapshot;
  const eta =
    'seconds' in overall.eta
      ? duration(overall.eta.seconds)
      : `not known yet${overall.eta.reason === waiting ? '' : `: ${overall.eta.reason}`}`;
  const lines = [
    `${paint.strong(`run ${run.id}`)}  ${printable(run.name)}  ${run.kind}  ${run.state}`,
    `  phase    ${run.phase}, ${percent(overall.fraction)} of the whole`,
    `  took     ${duration(run.elapsedSeconds)}${run.state === 'running' ? ` so far · ETA ${printable(eta)}` : ''}`,
    `  rows     ${count(overall.rows)} of about ${count(overall.estimatedRows)}, ${bytes(overall.bytes)} · ` +
      `${count(overall.rowsPerSecond)} rows/s · ${bytes(overall.bytesPerSecond)}/s`,
    `  plan     ${printable(run.planFile)}${run.revision > 1 ? `, revision ${run.revision}` : ''}`,
  ];
  const set = assignmentsOf(run.settings);
  if (set !== '') lines.push(`  set      ${set}`);
  if (run.quarantined > 0)
    lines.push(
      paint.bad(
        `  refused  ${plural(run.quarantined, 'row')} in quarantine: rowfleet quarantine list ${run.id}`,
      ),
    );
  for (const hold of holds) lines.push(paint.warn(`  ${printable(holdText(hold, snapshot.at))}`));
  if (waiting !== null && !holds.some(({ reason }) => reason === waiting))
    lines.push(paint.warn(`  waiting  ${printable(waiting)}`));
  if (run.error !== null) {
    lines.push(`  ${paint.bad('error')}    ${printable(run.error.message)} ${codeOf(run.error)}`);
    if (run.error.hint !== undefined) lines.push(`           → ${printable(run.error.hint)}`);
  }
  return lines;
}

/** `12 done, 4 running`: what there is none of is left out. */
function batchesText({ done, running, waiting }: FlowProgress['batches']): string {
  const parts = Object.entries({ done, running, waiting }).filter(([name, n]) => n > 0 || name === 'done');
  return parts.map(([name, n]) => `${count(n)} ${name}`).join(', ');
}

function flowLines(snapshot: ProgressSnapshot, paint: Palette): string[] {
  if (snapshot.flows.length === 0) return [];
  const [head, ...lines] = table(
    [
      ['  flow', 'target', 'state', 'rows', 'of about', 'rows/s', 'batches', ''],
      ...snapshot.flows.map((flow) => [
        `  ${printable(flow.name)}`,
        printable(flow.target),
        flow.state,
        count(flow.rows + flow.rowsInFlight),
        count(flow.estimatedRows),
        count(flow.rowsPerSecond),
        batchesText(flow.batches),
        flow.batches.failed > 0
          ? paint.bad(`${count(flow.batches.failed)} failed`)
          : flow.waitsFor.length > 0
            ? paint.warn(`for ${flow.waitsFor.map(printable).join(', ')}`)
            : '',
      ]),
    ],
    [3, 4, 5],
  );
  return ['', paint.dim(head!), ...lines];
}

function taskLine(task: TaskProgress, paint: Palette): string {
  const found = (task.evidence?.findings ?? 0) > 0;
  const mark =
    task.state === 'failed' || found ? paint.bad('✗') : task.state === 'done' ? paint.good('✓') : '·';
  const took = task.seconds === null ? '' : ` in ${task.seconds.toFixed(1)} s`;
  const again = task.notBefore === null ? '' : `, retrying at ${timeOfDay(task.notBefore)}`;
  const reason =
    task.error === null || task.state === 'done'
      ? ''
      : `: ${printable(task.error.message)} ${codeOf(task.error)}`;
  const numbers = Object.entries(task.evidence ?? {}).map(([name, n]) => `${name} ${count(n)}`);
  const evidence = numbers.length === 0 ? '' : paint.dim(`  ${numbers.join(', ')}`);
  return `  ${mark} ${printable(task.label)}  ${printable(task.relation)}  ${task.state}${took}${again}${reason}${evidence}`;
}

function attemptLine(attempt: RunningAttempt): string {
  const where =
    attempt.host === null ? attempt.worker : `${attempt.host} pid ${attempt.pid} (${attempt.worker})`;
  const lease = attempt.leaseLost ? ', lease run out' : '';
  const waiting = attempt.waiting === null ? '' : `, ${printable(attempt.waiting)}`;
  const retry = attempt.number > 1 ? `, attempt ${attempt.number}` : '';
  return `  ${printable(attempt.label)}  ${printable(attempt.relation)}  for ${duration(attempt.seconds)}, ${bytes(attempt.bytes)}${retry}${lease}${waiting}  on ${printable(where)}`;
}

function section(title: string, lines: string[], paint: Palette): string[] {
  return lines.length === 0 ? [] : ['', paint.strong(title), ...lines];
}

/** Everything about one run: phase, ETA, flows, what runs where, builds, checks, findings and the last events. */
export function renderStatus(
  snapshot: ProgressSnapshot,
  findings: RecordedFinding[],
  color: boolean,
): string[] {
  const paint = palette(color);
  const { workers } = snapshot;
  const events = snapshot.events.map(
    (event) => `  ${timeOfDay(event.at)}  ${printable(event.actor)}  ${printable(event.message)}`,
  );
  const fleet = workers.map(
    (one) =>
      `  ${one.kind}  ${printable(one.host)} pid ${one.pid}, ${plural(one.concurrency, 'at once', 'at once')}` +
      (one.trouble === null ? '' : paint.bad(`, in trouble: ${printable(one.trouble)}`)),
  );
  return [
    ...headLines(snapshot, paint),
    ...flowLines(snapshot, paint),
    ...section(
      'in trouble',
      snapshot.troubled.map((task) => taskLine(task, paint)),
      paint,
    ),
    ...section('running now', snapshot.attempts.map(attemptLine), paint),
    ...section(
      'builds',
      snapshot.builds.map((task) => taskLine(task, paint)),
      paint,
    ),
    ...section(
      'checks',
      snapshot.checks.map((task) => taskLine(task, paint)),
      paint,
    ),
    ...section(plural(findings.length, 'finding'), renderFindings(findings, paint), paint).slice(
      findings.length ? 0 : 2,
    ),
    ...section('fleet', fleet, paint),
    ...section('last events', events, paint),
  ];
}
