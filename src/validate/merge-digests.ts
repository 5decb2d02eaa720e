/** One distinct row as its hashes. */
export interface DigestRow {
  /** Hash of the row's key. */
  key: bigint;
  /** Hash of the whole row. */
  row: bigint;
  /** How often the row is there. */
  count: number;
}

/** How many rows of one key differ, and how. */
export interface KeyDifference {
  key: bigint;
  /** Expected rows that are not there. */
  missing: number;
  /** Rows of a key that nothing was expected of. */
  surplus: number;
  /** Rows that are there with other values. */
  different: number;
  /** Rows of an expected key that are there more often than expected. */
  duplicate: number;
}

const total = (rows: Map<bigint, number>): number =>
  [...rows.values()].reduce((sum, count) => sum + count, 0);

/** Compares the rows of one key, row hash → count. Undefined when they are the same. */
export function compareKey(
  key: bigint,
  expected: Map<bigint, number>,
  found: Map<bigint, number>,
): KeyDifference | undefined {
  let same = 0;
  for (const [row, count] of expected) same += Math.min(count, found.get(row) ?? 0);
  const lacking = total(expected) - same;
  const extra = total(found) - same;
  if (lacking === 0 && extra === 0) return undefined;
  const different = Math.min(lacking, extra);
  const rest = extra - different;
  return {
    key,
    missing: lacking - different,
    surplus: expected.size === 0 ? rest : 0,
    different,
    duplicate: expected.size === 0 ? 0 : rest,
  };
}

/** The rows of one side, one key at a time. */
class Keys {
  readonly #rows: AsyncIterator<DigestRow>;
  #ahead: DigestRow | undefined;

  constructor(rows: AsyncIterable<DigestRow>) {
    this.#rows = rows[Symbol.asyncIterator]();
  }

  async next(): Promise<{ key: bigint; rows: Map<bigint, number> } | undefined> {
    this.#ahead ??= await this.#read();
    if (this.#ahead === undefined) return undefined;
    const key = this.#ahead.key;
    const rows = new Map<bigint, number>();
    while (this.#ahead?.key === key) {
      rows.set(this.#ahead.row, this.#ahead.count);
      this.#ahead = await this.#read();
    }
    return { key, rows };
  }

  async #read(): Promise<DigestRow | undefined> {
    const { done, value } = await this.#rows.next();
    return done ? undefined : value;
  }
}

/**
 * Walks two streams of row hashes, each in ascending order of key, and yields the keys whose rows differ.
 * Holds one key of each side in memory.
 */
export async function* mergeDigests(
  expected: AsyncIterable<DigestRow>,
  found: AsyncIterable<DigestRow>,
): AsyncGenerator<KeyDifference> {
  const [left, right] = [new Keys(expected), new Keys(found)];
  const none = new Map<bigint, number>();
  let [a, b] = await Promise.all([left.next(), right.next()]);
  while (a !== undefined || b !== undefined) {
    const key = b === undefined || (a !== undefined && a.key <= b.key) ? a!.key : b.key;
    const [inA, inB] = [a?.key === key, b?.key === key];
    const difference = compareKey(key, inA ? a!.rows : none, inB ? b!.rows : none);
    if (difference !== undefined) yield difference;
    [a, b] = await Promise.all([inA ? left.next() : a, inB ? right.next() : b]);
  }
}
