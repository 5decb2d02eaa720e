import { readBounds } from '../ledger/flows.ts';
import type { Queryable } from '../ledger/ledger.ts';
import type { BatchSpec } from '../ledger/tasks.ts';
import { blockRange, type Range, rangeOf } from '../plan/select.ts';
import type { ResolvedFlow } from '../plan/types.ts';

/** What a batch reads: blocks of a leaf, or whole groups between the bounds that were found before the copy. */
export async function rangeOfBatch(
  ledger: Queryable,
  runId: string,
  flow: ResolvedFlow,
  { leaf, fromBlock, toBlock }: BatchSpec,
): Promise<Range> {
  if (flow.grouping === undefined) return blockRange(flow.leaves[leaf]!, fromBlock, toBlock);
  const bounds = await readBounds(ledger, runId, flow.name);
  const bound = (number: number | null) => (number === null || number === 0 ? null : bounds[number - 1]!);
  return rangeOf(flow.grouping, bound(fromBlock), bound(toBlock));
}
