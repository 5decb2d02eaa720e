import { ident, qualified } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import { rangeConditions, type TidRange } from '../../plan/statements/select.ts';

/** A range in two, or the one driving row that it holds. */
export type Halves = { kind: 'halves'; halves: [TidRange, TidRange] } | { kind: 'alone'; tid: string };

const blockOf = (tid: string | null): number => (tid === null ? 0 : Number(/^\((\d+),/.exec(tid)![1]));

/** The first block behind a leaf. */
async function endOf(source: Session, { leaf }: TidRange): Promise<number> {
  const { rows } = await source.query(
    `select pg_catalog.ceil(pg_catalog.pg_relation_size($1::pg_catalog.regclass)
       / pg_catalog.current_setting('block_size')::pg_catalog.float8) as blocks`,
    [qualified(leaf)],
  );
  return rows[0].blocks;
}

/** The rows of a range that is a block or less, a few hundred at most. */
async function tidsOf(source: Session, range: TidRange): Promise<string[]> {
  const alias = ident('d');
  const conditions = rangeConditions(alias, range);
  const { rows } = await source.query<{ tid: string }>(
    `select ${alias}.ctid as tid from only ${qualified(range.leaf)} as ${alias}
     ${conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`} order by 1`,
  );
  return rows.map(({ tid }) => tid);
}

/** Cuts a range in two: by blocks while it has several, then by rows. Throws when it holds no row at all. */
export async function halve(source: Session, range: TidRange): Promise<Halves> {
  const at = (tid: string): Halves => ({
    kind: 'halves',
    halves: [
      { ...range, to: tid },
      { ...range, from: tid },
    ],
  });
  const first = blockOf(range.from);
  const end = range.to === null ? await endOf(source, range) : blockOf(range.to);
  const middle = first + Math.floor((end - first) / 2);
  if (middle > first) return at(`(${middle},0)`);
  const tids = await tidsOf(source, range);
  if (tids.length === 0)
    throw new Error(`no row stands in a range of ${qualified(range.leaf)} that was refused`);
  return tids.length === 1 ? { kind: 'alone', tid: tids[0]! } : at(tids[Math.floor(tids.length / 2)]!);
}
