import type { ErrorPattern } from '../../../src/ledger/error-patterns.ts';
import { count, timeOfDay } from '../../units.ts';
import { palette } from './color.ts';
import { left, printable, right, shorten, widthOf } from './text.ts';

/** The classes' and the servers' names; counts to 999,999; the time of day; five gaps of two. */
const fixedColumns = 7 + 6 + 7 + 8 + 5 * 2;

/**
 * What went wrong in a run and how often, most frequent first, in `columns` columns: class, code, table, server, how
 * often and when last; below each the constraint and what the latest one said.
 */
export function renderErrors(patterns: ErrorPattern[], columns: number, color: boolean): string[] {
  if (patterns.length === 0) return ['no attempt of this run failed'];
  const paint = palette(color);
  const codeColumns = Math.max(4, ...patterns.map(({ code }) => widthOf(code)));
  const tableColumns = Number.isFinite(columns)
    ? Math.max(10, columns - fixedColumns - codeColumns)
    : Math.max(10, ...patterns.map(({ relation }) => widthOf(printable(relation))));
  const line = ([name, code, table, server, times, last]: string[]) =>
    [
      left(name!, 7),
      left(code!, codeColumns),
      left(table!, tableColumns),
      left(server!, 6),
      right(times!, 7),
      right(last!, 8),
    ].join('  ');
  const lines = patterns.flatMap((one) => {
    const constraint = one.constraint === null ? '' : `${printable(one.constraint)}: `;
    const cells = [one.class, one.code, printable(one.relation), one.side ?? '', count(one.count)];
    return [
      line([...cells, timeOfDay(one.lastAt)]),
      paint.dim(`  ${shorten(`${constraint}${printable(one.message)}`, columns - 2)}`),
    ];
  });
  return [paint.dim(line(['class', 'code', 'table', 'server', 'times', 'last'])), ...lines];
}
