import type { RecordedFinding } from '../../../src/ledger/read-findings.ts';
import type { FindingDetail } from '../../../src/validate/types.ts';
import { plural } from '../../units.ts';
import type { Palette } from './color.ts';
import { printable, shorten } from './text.ts';

/** More than the ledger keeps of a value, which is cut around the place where two differ: cut again, it could miss it. */
const longestValue = 240;

/** A value of a row as people see it: null apart from the empty text, nothing that moves the cursor. */
function value(text: string | null | undefined): string {
  if (text === undefined) return '';
  return text === null ? 'NULL' : `'${shorten(printable(text), longestValue)}'`;
}

function keyText(key: FindingDetail['key']): string {
  const parts = Object.entries(key).map(([column, text]) => `${printable(column)}=${value(text)}`);
  return parts.join(' ') || '(no key)';
}

function detailLine(detail: FindingDetail): string {
  const { key, column, problem, expected, found } = detail;
  const where = `    ${keyText(key)}`;
  if (problem === 'different') {
    return `${where}  ${printable(column ?? 'row')}: expected ${value(expected)}, found ${value(found)}`;
  }
  return `${where}  ${problem}`;
}

/**
 * Findings as lines: what is wrong, and the first `limit` offending rows of each with key, column and both values.
 * They hold row values, so they go to the operator's terminal and nowhere else.
 */
export function renderFindings(findings: RecordedFinding[], paint: Palette, limit = 10): string[] {
  return findings.flatMap((finding) => {
    const shown = finding.details.slice(0, limit);
    const more = finding.details.length - shown.length;
    return [
      `  ${paint.bad('✗')} ${finding.check}  ${printable(finding.relation)}  ${printable(finding.summary)}`,
      ...shown.map(detailLine),
      ...(more > 0 ? [`    … ${plural(more, 'more row')} in the ledger (rowfleet.finding)`] : []),
    ];
  });
}
