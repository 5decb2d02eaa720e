import type { Revision } from '../../../src/control/revise.ts';
import type { FlowConsequence } from '../../../src/control/revise-rows.ts';
import { plural } from '../../units.ts';
import { type Palette, palette } from './color.ts';
import { printable } from './text.ts';

const sideLine = (mark: string, text: string | null): string[] =>
  text === null ? [] : text.split('\n').map((line) => `      ${mark} ${printable(line)}`);

function changeLines({ changes }: Revision, paint: Palette): string[] {
  const lines: string[] = [];
  let flow: string | null | undefined;
  for (const change of changes) {
    if (change.flow !== flow)
      lines.push(`  ${paint.strong(change.flow === null ? 'settings' : `flow ${printable(change.flow)}`)}`);
    flow = change.flow;
    lines.push(
      `    ${printable(change.what)}`,
      ...sideLine('-', change.before).map(paint.bad),
      ...sideLine('+', change.after).map(paint.good),
    );
  }
  return lines;
}

/** What becomes of rows, without sparing what is lost. */
function consequenceLines({ flow, kind, standing, together }: FlowConsequence): string[] {
  const name = printable(flow);
  const waiting =
    standing.held > 0 ? ['    its refused rows stay in quarantine until they are sent again'] : [];
  switch (kind) {
    case 'nothing':
      return [`  ${name}: rows that were loaded stay as they are`, ...waiting];
    case 'reload':
      return [
        `  ${name}: all of it is loaded again, also rows that the new expressions leave as they were: what`,
        '    differs is updated, what is missing is inserted, what the plan yields no more is deleted',
        ...waiting,
      ];
    case 'batches':
      return [`  ${name}: the batches that are done are loaded again, what differs is updated`, ...waiting];
    case 'restart': {
      const others = together.map(printable).join(', ');
      const lost = [
        ...(standing.refused > 0 ? [`${plural(standing.refused, 'row')} of its quarantine`] : []),
        ...(standing.edited > 0 ? [`${plural(standing.edited, 'edited row')}`] : []),
        ...(standing.discarded > 0 ? [`${plural(standing.discarded, 'discarded row')}`] : []),
      ];
      return [
        `  ${name}: its table is emptied, and it starts again from nothing${others === '' ? '' : `, with ${others}`}`,
        ...(lost.length === 0 ? [] : [`    forgotten with it: ${lost.join(', ')}`]),
      ];
    }
  }
}

function nextLines({ state, runId, held }: Revision, file: string): string[] {
  if (state === 'running') return ['the run goes on with it'];
  const resume = `rowfleet resume -c ${file} ${runId}`;
  const retry = `rowfleet quarantine retry --all --run ${runId} -c ${file}`;
  return [`  ${held > 0 ? retry : resume}   goes on with it`];
}

/** What a revision changes, flow by flow, what that means for rows, and what to type next. */
export function renderRevision(
  revision: Revision,
  { file, dryRun }: { file: string; dryRun: boolean },
  color: boolean,
): string[] {
  const paint = palette(color);
  const { runId, number, changes, consequences } = revision;
  if (changes.length === 0) return [`run ${runId} goes by this plan already (revision ${number})`];
  return [
    dryRun
      ? `run ${runId} would go from revision ${number} of its plan to ${number + 1}`
      : `run ${runId} goes by revision ${number} of its plan now`,
    ...changeLines(revision, paint),
    ...(consequences.length === 0 ? [] : ['', ...consequences.flatMap(consequenceLines)]),
    '',
    ...(dryRun ? ['nothing was written'] : nextLines(revision, file)),
  ];
}
