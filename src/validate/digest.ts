import { display, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { flowsInto } from '../plan/statements/fuse.ts';
import type { CheckContext } from './check-context.ts';
import { type Comparison, compareTarget } from './comparison.ts';
import { fillExpectedAgain, transformsInto } from './expected-rows.ts';
import type { KeyDifference } from './merge-digests.ts';
import { differenceFinding, type Opened, openDifference } from './open-difference.ts';
import { type Bucket, readBuckets } from './read-digests.ts';
import type { CheckOutcome, CheckSpec } from './types.ts';

/** Rows, of both sides together, that are looked at one by one when buckets differ. */
const mostOpenedRows = 500_000;
const mostBuckets = 65_536;

/** Buckets of about a thousand rows: a power of two, so that a bucket is some bits of the key's hash. */
export function bucketsFor(rows: number): number {
  return Math.min(mostBuckets, 2 ** Math.ceil(Math.log2(Math.max(1, rows / 1000))));
}

/** Rows guessed from the size on disk at 100 bytes each: statistics are often missing right after a load. */
async function guessedRows(target: Session, relation: RelationName): Promise<number> {
  const { rows } = await target.query<{ bytes: string }>(
    `select coalesce(
       (select pg_catalog.sum(pg_catalog.pg_relation_size(relid)) from pg_catalog.pg_partition_tree($1::pg_catalog.regclass)),
       pg_catalog.pg_relation_size($1::pg_catalog.regclass)) as bytes`,
    [qualified(relation)],
  );
  return Number(rows[0]!.bytes) / 100;
}

const rowsIn = (buckets: Map<number, Bucket>): number =>
  [...buckets.values()].reduce((sum, { rows }) => sum + rows, 0);

function differing(expected: Map<number, Bucket>, found: Map<number, Bucket>): number[] {
  const numbers = new Set([...expected.keys(), ...found.keys()]);
  return [...numbers].filter((number) => {
    const [a, b] = [expected.get(number), found.get(number)];
    return a?.rows !== b?.rows || a?.xor !== b?.xor || a?.sum !== b?.sum;
  });
}

/** The first differing buckets whose rows may be looked at one by one; always one. */
function affordable(numbers: number[], expected: Map<number, Bucket>, found: Map<number, Bucket>): number[] {
  let rows = 0;
  return numbers.filter((number, i) => {
    rows += (expected.get(number)?.rows ?? 0) + (found.get(number)?.rows ?? 0);
    return i === 0 || rows <= mostOpenedRows;
  });
}

const tally = ({ missing, surplus, different, duplicate }: Opened): Record<string, number> => ({
  missing,
  surplus,
  different,
  duplicate,
});

async function compareBuckets(
  ctx: CheckContext,
  relation: RelationName,
  comparison: Comparison,
): Promise<CheckOutcome> {
  const buckets = bucketsFor(await guessedRows(ctx.target, relation));
  const [expected, found] = await Promise.all([
    readBuckets(comparison.expecting, comparison.source, buckets),
    readBuckets(ctx.target, comparison.target, buckets),
  ]);
  ctx.signal?.throwIfAborted();
  const rows = rowsIn(expected);
  const numbers = differing(expected, found);
  const evidence = { expected: rows, found: rowsIn(found), buckets, differingBuckets: numbers.length };
  if (numbers.length === 0) return { rows, findings: [], evidence };

  const opening = affordable(numbers, expected, found);
  const opened = await openDifference(ctx, comparison, { only: { buckets, numbers: opening } });
  const where =
    opening.length === numbers.length
      ? ''
      : ` in the first ${opening.length} of ${numbers.length} differing buckets`;
  const finding = await differenceFinding(ctx, relation, comparison, opened, where);
  const summary = `${finding.summary}${await ofTransforms(ctx, relation, comparison, buckets, expected)}`;
  return { rows, findings: [{ ...finding, summary }], evidence: { ...evidence, ...tally(opened) } };
}

/** What a difference may come from where transforms make the rows: they are called once more to tell. */
async function ofTransforms(
  ctx: CheckContext,
  relation: RelationName,
  { expecting, source }: Comparison,
  buckets: number,
  expected: Map<number, Bucket>,
): Promise<string> {
  const transforms = transformsInto(ctx.plan, relation).join(', ');
  if (transforms === '') return '';
  await fillExpectedAgain(ctx, relation);
  const again = await readBuckets(expecting, source, buckets);
  const same = differing(expected, again).length === 0;
  return `: ${transforms} gave ${same ? 'the same' : 'other'} rows when it was called once more`;
}

/**
 * For a table that held rows before the run: each of the source's rows must be there. Rows of other keys are taken
 * for older ones (their number is the count check's), and in a table without a key so are doubled rows.
 */
async function checkContained(
  ctx: CheckContext,
  relation: RelationName,
  comparison: Comparison,
): Promise<CheckOutcome> {
  const keyed = comparison.target.key.length > 0;
  const judge = (difference: KeyDifference): KeyDifference | undefined => {
    const counted = { ...difference, surplus: 0, duplicate: keyed ? difference.duplicate : 0 };
    return counted.missing + counted.different + counted.duplicate === 0 ? undefined : counted;
  };
  const opened = await openDifference(ctx, comparison, { judge });
  const evidence = { expected: opened.rows, contained: 1, ...tally(opened) };
  if (opened.first.length === 0) return { rows: opened.rows, findings: [], evidence };
  const finding = await differenceFinding(ctx, relation, comparison, opened);
  return { rows: opened.rows, findings: [finding], evidence };
}

/**
 * The target's rows are the rows that the mapping yields: one scan a side, compared by buckets of the key's hash;
 * buckets that differ are opened down to their rows. A table that held rows before the run is instead compared row by
 * row, which costs a sort of both sides. The evidence says how many columns could not be compared.
 */
export async function checkDigest(
  ctx: CheckContext,
  spec: Extract<CheckSpec, { check: 'digest' }>,
): Promise<CheckOutcome> {
  const { relation } = spec;
  const comparison = await compareTarget(ctx, relation);
  // An id map keeps the keys that it has, also of rows that the source has no more.
  const mayHoldMore =
    (ctx.before[display(relation)] ?? 0) > 0 || flowsInto(ctx.plan, relation).some(({ idMap }) => idMap);
  const compare = mayHoldMore ? checkContained : compareBuckets;
  const outcome = await compare(ctx, relation, comparison);
  const columns = {
    columns: comparison.source.columns.length,
    columnsNotCompared: comparison.notCompared.length,
  };
  return { ...outcome, evidence: { ...outcome.evidence, ...columns } };
}
