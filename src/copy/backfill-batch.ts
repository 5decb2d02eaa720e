import { barrier } from '../barrier.ts';
import { finishTask, lockClaim } from '../ledger/fence.ts';
import { readExcludedRows } from '../ledger/quarantine.ts';
import { type ReloadSpec, readEarlierLoad, takeOverBatches } from '../ledger/reload.ts';
import type { BatchSpec } from '../ledger/tasks.ts';
import { inTransaction } from '../pg/transaction.ts';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';
import { keyRange, type Range } from '../plan/statements/select.ts';
import { withoutRows } from '../plan/statements/without-rows.ts';
import type { CopyBatchInput, CopyTally } from './batch-input.ts';
import { cornerBatch, type QuarantineTally } from './corner/corner-batch.ts';
import { rangeOfBatch } from './range-of-batch.ts';
import { updateRange } from './update-range.ts';

function rangeFor(input: CopyBatchInput, flow: ResolvedFlow): Promise<Range> | Range {
  const spec = input.claim.spec as BatchSpec | ReloadSpec;
  if ('scope' in spec) return keyRange(flow, { from: null, to: null });
  return rangeOfBatch(input.target, input.claim.runId, flow, spec);
}

/** Without the rows that are in quarantine: those are left as they are until they are sent again. */
async function withoutRefused({ claim, target, seal }: CopyBatchInput, flow: ResolvedFlow) {
  const excluded = (await readExcludedRows(target, claim.runId, seal))[flow.name];
  return excluded === undefined ? flow : withoutRows(target, flow, excluded);
}

/** Updates a batch; at a second look, or where all is looked at again, refused rows are left as they are and set aside. */
async function updateBatch(input: CopyBatchInput, flow: ResolvedFlow): Promise<QuarantineTally> {
  const { claim, target } = input;
  const range = await rangeFor(input, flow);
  await barrier('copy.extract');
  if (claim.mode === 'copy') {
    const { rows, updated } = await updateRange(target, flow, range);
    return { rowsOut: rows, rowsIn: rows, rowsQuarantined: 0, bytes: 0, evidence: { updated } };
  }
  const { rowsQuarantined: earlier } = await readEarlierLoad(target, claim);
  const ctx = { ...input, flow: await withoutRefused(input, flow), source: target };
  const { rowsOut, rowsQuarantined = 0, ...tally } = await cornerBatch(ctx, range);
  return { ...tally, rowsOut: rowsOut + earlier, rowsQuarantined: rowsQuarantined + earlier };
}

/**
 * One batch of an in-place backfill: rows found by their key are locked, computed and updated where they stand, in one
 * transaction with the record. An update of the application before it is seen, one behind it waits.
 */
export async function backfillBatch(input: CopyBatchInput, flow: ResolvedFlow): Promise<CopyTally> {
  const { plan, claim, target } = input;
  const started = performance.now();
  const updateAndRecord = async () => {
    await lockClaim(target, claim);
    const updated = await updateBatch(input, flow);
    await barrier('copy.record');
    const tally = { ...updated, seconds: (performance.now() - started) / 1000 };
    if ('scope' in (claim.spec as object)) await takeOverBatches(target, claim);
    await finishTask(target, claim, tally);
    await barrier('copy.commit');
    return tally;
  };
  return inTransaction(target, 'read committed', updateAndRecord, { searchPath: plan.target.searchPath });
}
