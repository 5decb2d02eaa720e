import { readBounds } from '../ledger/flows.ts';
import type { Queryable } from '../ledger/ledger.ts';
import type { BatchSpec } from '../ledger/tasks.ts';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';
import { blockRange, isCutByKey, keyRange, type Range } from '../plan/statements/select.ts';

/** What a batch reads: blocks of a leaf, or what lies between bounds of a key that were found before the copy. */
export async function rangeOfBatch(
  ledger: Queryable,
  runId: string,
  flow: ResolvedFlow,
  spec: BatchSpec,
): Promise<Range> {
  if (!isCutByKey(flow)) return blockRange(flow.leaves[spec.leaf]!, spec.fromBlock, spec.toBlock);
  return keyRange(flow, await readBounds(ledger, runId, flow.name, spec));
}
