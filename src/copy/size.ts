/** What a batch should cost at most; adaptive sizing aims at it. */
export interface SizeAim {
  /** Seconds a batch should take. */
  seconds: number;
  /** Bytes a batch may carry. */
  bytes: number;
}

/** A batch that was copied: blocks read, bytes carried, seconds taken. */
export interface MeasuredBatch {
  blocks: number | null;
  seconds: number;
  bytes: number;
}

const fastGrowth = 4;
const slowGrowth = 2;

/** What the size of a flow's next batch follows from. */
export interface SizeInput {
  recent: MeasuredBatch[];
  startBlocks: number;
  remainingBlocks: number;
  /** Blocks of the smallest batch that was too much (a timeout, a lock or memory error) and is not copied yet. */
  tooManyBlocks: number | null;
  slots: number;
  aim: SizeAim;
}

/**
 * Blocks that the next batch of a flow should read, from what recent ones cost.
 *
 * Before any is measured: `startBlocks`. Then blocks/s × the aimed-at seconds, capped in bytes, growing at most
 * fourfold while batches are far from the aim and twofold near it. Never so much that fewer than two batches
 * a slot would be left, unless the batch would then take less than a quarter of the aim: the tail of a table
 * should keep every loader busy. At once half of what was too much, as long as that is not copied.
 */
export function nextBatchBlocks(input: SizeInput): number {
  const size = sizeByCost(input);
  return input.tooManyBlocks === null
    ? size
    : Math.max(1, Math.min(size, Math.floor(input.tooManyBlocks / 2)));
}

function sizeByCost(input: SizeInput): number {
  const measured = input.recent.filter((batch) => batch.blocks !== null && batch.blocks > 0);
  if (measured.length === 0) return Math.max(1, Math.min(input.startBlocks, input.remainingBlocks));
  const total = (pick: (batch: MeasuredBatch) => number) =>
    measured.reduce((sum, batch) => sum + pick(batch), 0);
  const blocks = total((batch) => batch.blocks ?? 0);
  const seconds = Math.max(
    total((batch) => batch.seconds),
    0.001,
  );
  const bytes = total((batch) => batch.bytes);
  const aimed = (blocks / seconds) * input.aim.seconds;
  const capped = bytes === 0 ? aimed : Math.min(aimed, (blocks / bytes) * input.aim.bytes);
  const largest = Math.max(...measured.map((batch) => batch.blocks ?? 0));
  const growth = seconds / measured.length < input.aim.seconds / fastGrowth ? fastGrowth : slowGrowth;
  const grown = Math.min(capped, largest * growth);
  const share = Math.max(input.remainingBlocks / (2 * Math.max(1, input.slots)), aimed / 4);
  return Math.max(1, Math.floor(Math.min(grown, share)));
}
