import type { Session } from '../pg/session.ts';
import { planQuery } from '../plan/sql/query.ts';
import { bucketDigests, type DigestSide, sortedHashes } from './digest-sql.ts';
import type { DigestRow } from './merge-digests.ts';

/** Count, xor and sum of a bucket's row hashes. */
export interface Bucket {
  rows: number;
  xor: string;
  sum: string;
}

/** The digest of one side, by bucket; a bucket without rows is not in it. */
export async function readBuckets(
  session: Session,
  side: DigestSide,
  buckets: number,
): Promise<Map<number, Bucket>> {
  const { rows } = await planQuery<Record<'bucket' | 'rows' | 'xor' | 'sum', string>>(
    session,
    bucketDigests(side, buckets),
  );
  return new Map(
    rows.map((row) => [Number(row.bucket), { rows: Number(row.rows), xor: row.xor, sum: row.sum }]),
  );
}

/** Rows that stand in Node at a time, of each side. */
const fetched = 5000;

let cursors = 0;

/** Streams the row hashes of one side in ascending order, a few thousand in memory at a time. */
export async function* readSorted(
  session: Session,
  side: DigestSide,
  only?: { buckets: number; numbers: number[] },
  signal?: AbortSignal,
): AsyncGenerator<DigestRow> {
  // Both sides may be read on one session.
  const cursor = `rowfleet_hashes_${++cursors}`;
  await planQuery(session, `declare ${cursor} no scroll cursor for ${sortedHashes(side, only)}`);
  for (;;) {
    signal?.throwIfAborted();
    const { rows } = await planQuery<{ k: string; h: string; n: string }>(
      session,
      `fetch ${fetched} from ${cursor}`,
    );
    for (const { k, h, n } of rows) yield { key: BigInt(k), row: BigInt(h), count: Number(n) };
    if (rows.length < fetched) break;
  }
  await session.query(`close ${cursor}`);
}
