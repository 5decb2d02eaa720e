import { barrier } from '../barrier.ts';
import { RowfleetError } from '../errors.ts';
import { finishTask, lockClaim } from '../ledger/fence.ts';
import { type ReloadSpec, takeOverBatches } from '../ledger/reload.ts';
import type { BatchSpec } from '../ledger/tasks.ts';
import { display } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';
import { planQuery } from '../plan/sql/query.ts';
import { backfillLock, backfillStatement } from '../plan/statements/backfill.ts';
import { keyRange, type Range } from '../plan/statements/select.ts';
import type { CopyBatchInput, CopyTally } from './copy-batch.ts';
import { rangeOfBatch } from './range-of-batch.ts';

/** How long an update waits for a row that the application has locked, before the batch is tried again, and halved. */
const lockTimeout = '5s';

function rangeFor(input: CopyBatchInput, flow: ResolvedFlow): Promise<Range> | Range {
  const spec = input.claim.spec as BatchSpec | ReloadSpec;
  if ('scope' in spec) return keyRange(flow, { from: null, to: null });
  return rangeOfBatch(input.target, input.claim.runId, flow, spec);
}

/** Updates the rows of a range that do not hold yet what the mapping says, as they are now. */
async function update(target: Session, flow: ResolvedFlow, range: Range) {
  await target.query(`set local lock_timeout = '${lockTimeout}'`);
  await planQuery(target, backfillLock(flow, range));
  const { rows } = await planQuery<{ yielded: string; keys: string; updated: string }>(
    target,
    backfillStatement(flow, range),
  );
  const { yielded, keys, updated } = rows[0]!;
  if (yielded !== keys)
    throw new RowfleetError(
      'JOIN_MULTIPLIES',
      `${flow.name}: the join gives several values for one row of ${display(flow.target)}`,
      { hint: 'mend the join, so that it meets one row at most, then revise the plan' },
    );
  return { rows: Number(yielded), updated: Number(updated) };
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
    const range = await rangeFor(input, flow);
    await barrier('copy.extract');
    const { rows, updated } = await update(target, flow, range);
    await barrier('copy.record');
    const seconds = (performance.now() - started) / 1000;
    const tally = { rowsOut: rows, rowsIn: rows, bytes: 0, seconds, evidence: { updated } };
    if ('scope' in (claim.spec as object)) await takeOverBatches(target, claim);
    await finishTask(target, claim, tally);
    await barrier('copy.commit');
    return tally;
  };
  return inTransaction(target, 'read committed', updateAndRecord, { searchPath: plan.target.searchPath });
}
