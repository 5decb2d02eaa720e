import { display, type RelationName } from '../pg/quote.ts';
import type { CheckContext } from './check-context.ts';
import type { Comparison } from './comparison.ts';
import { differenceDetails } from './difference-details.ts';
import { type DigestRow, type KeyDifference, mergeDigests } from './merge-digests.ts';
import { readSorted } from './read-digests.ts';
import type { Finding } from './types.ts';

/** What was found when rows were compared one by one. */
export interface Opened {
  /** Rows of the source that were compared. */
  rows: number;
  missing: number;
  surplus: number;
  different: number;
  duplicate: number;
  /** The first differing keys. */
  first: KeyDifference[];
}

export interface OpenOptions {
  /** The buckets to look into. Defaults to all rows. */
  only?: { buckets: number; numbers: number[] };
  /** What of a difference counts; undefined for nothing. Defaults to all of it. */
  judge?: (difference: KeyDifference) => KeyDifference | undefined;
}

/** Differing keys that a finding shows. */
const shown = 10;

const kinds = ['missing', 'surplus', 'different', 'duplicate'] as const;
const words = { missing: 'missing', surplus: 'too many', different: 'different', duplicate: 'doubled' };

async function* counting(rows: AsyncIterable<DigestRow>, into: Opened): AsyncGenerator<DigestRow> {
  for await (const row of rows) {
    into.rows += row.count;
    yield row;
  }
}

/** Compares the rows of both sides one by one, by their hashes, a few thousand in memory at a time. */
export async function openDifference(
  ctx: CheckContext,
  comparison: Comparison,
  { only, judge = (difference) => difference }: OpenOptions,
): Promise<Opened> {
  const opened: Opened = { rows: 0, missing: 0, surplus: 0, different: 0, duplicate: 0, first: [] };
  const expected = counting(readSorted(comparison.expecting, comparison.source, only, ctx.signal), opened);
  const found = readSorted(ctx.target, comparison.target, only, ctx.signal);
  for await (const each of mergeDigests(expected, found)) {
    const difference = judge(each);
    if (difference === undefined) continue;
    for (const kind of kinds) opened[kind] += difference[kind];
    if (opened.first.length < shown) opened.first.push(difference);
  }
  return opened;
}

/** A finding with the first differing rows. `where` says in what part of the table they were counted. */
export async function differenceFinding(
  ctx: CheckContext,
  relation: RelationName,
  comparison: Comparison,
  opened: Opened,
  where = '',
): Promise<Finding> {
  ctx.signal?.throwIfAborted();
  const counted = kinds.filter((kind) => opened[kind] > 0).map((kind) => `${opened[kind]} ${words[kind]}`);
  const list = counted.length === 0 ? '' : `: ${counted.join(', ')}`;
  return {
    check: 'digest',
    relation,
    summary: `${display(relation)}: rows differ from what the source yields${list}${where}`,
    details: await differenceDetails(ctx.target, comparison, opened.first),
  };
}
