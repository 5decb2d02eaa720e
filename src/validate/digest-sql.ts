import { type HashedColumn, hashField, hashOf, mixed, textField } from './row-hash.ts';

/** One side of a digest. */
export interface DigestSide {
  /** SELECTs whose columns c1…cn are the compared columns; one for each flow, or one for the target table. */
  rows: string[];
  columns: HashedColumn[];
  /** Positions in `columns` of the target's key; empty where rows are told apart by all their columns. */
  key: number[];
  transcode: boolean;
}

/** Characters of a value that are fetched to be shown. */
export const fetchedCharacters = 8192;

const fieldsOf = (side: DigestSide): string[] =>
  side.columns.map((column, i) => hashField(column, `r.c${i + 1}`, side.transcode));

/** k: the hash of the row's key; h: the hash of the whole row. */
function hashes(side: DigestSide): { k: string; h: string } {
  const fields = fieldsOf(side);
  const h = hashOf(fields);
  return { k: side.key.length === 0 ? h : hashOf(side.key.map((i) => fields[i]!)), h };
}

// `offset 0` keeps the planner from computing an expression once for each place that names it.
const fenced = (rows: string): string => `(${rows}\noffset 0) as r`;

function hashedRows(side: DigestSide): string {
  const { k, h } = hashes(side);
  const list =
    side.key.length === 0 ? `h as k, h from (select ${h} as h` : `k, h from (select ${k} as k, ${h} as h`;
  return side.rows
    .map((rows) => `select ${list} from ${fenced(rows)} offset 0) as hashed`)
    .join('\nunion all\n');
}

/**
 * Digest of each bucket of rows: `bucket, rows, xor, sum`. Two sides with equal answers hold the same rows:
 * a doubled row that hides from the xor shows in the sum and the count.
 * @param buckets a power of two
 */
export function bucketDigests(side: DigestSide, buckets: number): string {
  return `select bucket, pg_catalog.count(*) as rows, pg_catalog.bit_xor(m) as xor, pg_catalog.sum(m) as sum
    from (select k & ${buckets - 1} as bucket, ${mixed('h')} as m from (${hashedRows(side)}) as hashed) as mixed
    group by bucket`;
}

/** Row hashes `k, h, n` (n times) in ascending order; of the given buckets only, or of all rows. */
export function sortedHashes(side: DigestSide, only?: { buckets: number; numbers: number[] }): string {
  const restriction =
    only === undefined
      ? ''
      : `where (k & ${only.buckets - 1}) = any ('{${only.numbers.join(',')}}'::pg_catalog.int8[])`;
  return `select k, h, pg_catalog.count(*) as n from (${hashedRows(side)}) as hashed ${restriction}
    group by k, h order by k, h`;
}

/**
 * The rows of some key hashes: `k, h`, the hash of each column and the start of its text. At most `limit` rows.
 */
export function rowsOfKeys(side: DigestSide, keys: bigint[], limit: number): string {
  const { k, h } = hashes(side);
  const columnHashes = fieldsOf(side).map((field) => hashOf([field]));
  const texts = side.columns.map(
    (column, i) => `pg_catalog.left(${textField(column, `r.c${i + 1}`)}, ${fetchedCharacters})`,
  );
  const one = (rows: string) => `select k, h, array[${columnHashes.join(', ')}]::pg_catalog.int8[] as hashes,
      array[${texts.join(', ')}]::pg_catalog.text[] as texts
    from (select r.*, ${k} as k, ${h} as h from ${fenced(rows)} offset 0) as r
    where k = any ('{${keys.join(',')}}'::pg_catalog.int8[])`;
  return `${side.rows.map(one).join('\nunion all\n')}\nlimit ${limit}`;
}
