import type { CutState } from '../ledger/flows.ts';
import type { BatchSpec } from '../ledger/tasks.ts';

/** Blocks that cutting has not reached yet. */
export function remainingBlocks(cut: CutState): number {
  const ahead = cut.blocks.slice(cut.leaf).reduce((sum, blocks) => sum + blocks, 0);
  return Math.max(0, ahead - cut.nextBlock);
}

/**
 * Cuts the next batch of `blocks` blocks: a range of one leaf, the last one of each leaf open-ended, since
 * rows may lie behind the last block that was counted.
 */
export function cutBatch(cut: CutState, blocks: number): { spec: BatchSpec; cut: CutState; done: boolean } {
  const end = cut.nextBlock + blocks;
  const lastOfLeaf = end >= cut.blocks[cut.leaf]!;
  const spec = { leaf: cut.leaf, fromBlock: cut.nextBlock, toBlock: lastOfLeaf ? null : end };
  const next = lastOfLeaf ? { leaf: cut.leaf + 1, nextBlock: 0 } : { leaf: cut.leaf, nextBlock: end };
  return { spec, cut: { ...cut, ...next }, done: next.leaf >= cut.blocks.length };
}
