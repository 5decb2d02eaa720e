import type { Session } from '../pg/session.ts';
import { planQuery } from '../plan/sql/query.ts';
import type { Comparison } from './comparison.ts';
import { type DigestSide, fetchedCharacters, rowsOfKeys } from './digest-sql.ts';
import { excerpt, excerpts } from './excerpt.ts';
import type { KeyDifference } from './merge-digests.ts';
import type { FindingDetail } from './types.ts';

interface Row {
  k: string;
  h: string;
  hashes: string[];
  texts: (string | null)[];
}

/** Rows that are fetched to be shown, of each side: one key may have very many. */
const fetchedRows = 100;

async function fetchRows(session: Session, side: DigestSide, keys: bigint[]): Promise<Row[]> {
  return (await planQuery<Row>(session, rowsOfKeys(side, keys, fetchedRows))).rows;
}

/** The rows of `left` that have no equal in `right`, one for one. */
function without(left: Row[], right: Row[]): Row[] {
  const others = right.map((row) => row.h);
  return left.filter((row) => {
    const at = others.indexOf(row.h);
    if (at >= 0) others.splice(at, 1);
    return at < 0;
  });
}

function keyText(side: DigestSide, row: Row): Record<string, string | null> {
  const positions = side.key.length === 0 ? side.columns.map((_, i) => i) : side.key;
  return Object.fromEntries(positions.map((i) => [side.columns[i]!.name, excerpt(row.texts[i] ?? null)]));
}

function shownValues(
  expected: string | null,
  found: string | null,
): Pick<FindingDetail, 'expected' | 'found'> {
  if (expected === null || expected !== found) return excerpts(expected, found);
  const cut = [...expected].length >= fetchedCharacters;
  const same = `${excerpt(expected)} (${cut ? `equal in the first ${fetchedCharacters} characters` : 'the same text, stored otherwise'})`;
  return { expected: same, found: same };
}

function differingColumns(side: DigestSide, expected: Row, found: Row): FindingDetail[] {
  return side.columns.flatMap(({ name }, i): FindingDetail[] => {
    if (expected.hashes[i] === found.hashes[i]) return [];
    const values = shownValues(expected.texts[i] ?? null, found.texts[i] ?? null);
    return [{ key: keyText(side, expected), column: name, problem: 'different', ...values }];
  });
}

/** Fetches the rows of differing keys from both sides and says what is wrong with each. */
export async function differenceDetails(
  target: Session,
  comparison: Comparison,
  differences: KeyDifference[],
): Promise<FindingDetail[]> {
  if (differences.length === 0) return [];
  const side = comparison.target;
  const keys = differences.map(({ key }) => key);
  const [expected, found] = await Promise.all([
    fetchRows(comparison.expecting, comparison.source, keys),
    fetchRows(target, comparison.target, keys),
  ]);
  return differences.flatMap((difference) => {
    const of = (rows: Row[]) => rows.filter(({ k }) => k === String(difference.key));
    const lacking = without(of(expected), of(found));
    const extra = without(of(found), of(expected));
    const paired = Math.min(lacking.length, extra.length);
    const whole = (row: Row, problem: FindingDetail['problem']) => ({ key: keyText(side, row), problem });
    return [
      ...lacking.slice(0, paired).flatMap((row, i) => differingColumns(side, row, extra[i]!)),
      ...lacking.slice(paired).map((row) => whole(row, 'missing')),
      ...extra.slice(paired).map((row) => whole(row, of(expected).length === 0 ? 'surplus' : 'duplicate')),
    ];
  });
}
