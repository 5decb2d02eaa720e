import { barrier } from '../../barrier.ts';
import { RowfleetError } from '../../errors.ts';
import type { ClaimedTask } from '../../ledger/claim.ts';
import { countRefusals } from '../../ledger/error-patterns.ts';
import type { Tally } from '../../ledger/fence.ts';
import { countQuarantined, insertRefused, lockQuarantine } from '../../ledger/quarantine.ts';
import type { Seal } from '../../ledger/seal.ts';
import { display } from '../../pg/quote.ts';
import type { QuarantineLimit } from '../../plan/plan.ts';
import { type Range, readTogether } from '../../plan/statements/select.ts';
import type { LoadContext, LoadTally } from '../load-range.ts';
import { corner } from './corner.ts';
import { blameColumn, readRefused } from './read-refused.ts';

/** A batch whose bad rows are to be set aside; both sessions are in its transactions. */
export interface QuarantineContext extends LoadContext {
  claim: ClaimedTask;
  seal: Seal;
}

/** Of `rowsOut`, `rowsQuarantined` were refused. */
export type QuarantineTally = LoadTally & Pick<Tally, 'rowsQuarantined' | 'evidence'>;

/** A flow is taken to have at least as many rows when the ratio is judged, so that one bad row of ten does not end a run. */
const leastRows = 1000;

/** Fails the batch where the run, or its flow, has more rows in quarantine than the plan allows. */
async function holdToLimit(
  { claim, flow, target }: QuarantineContext,
  limit: QuarantineLimit,
): Promise<void> {
  const counts = await lockQuarantine(target, claim.runId, flow.name);
  const share = Math.floor(limit.ratio * Math.max(counts.flowRows, leastRows));
  if (counts.run <= limit.rows && counts.flow <= share) return;
  const over =
    counts.run > limit.rows
      ? `${counts.run} rows of this run are refused, quarantine_limit allows ${limit.rows}`
      : `${counts.flow} rows of this flow are refused, quarantine_limit allows ${share} (ratio ${limit.ratio})`;
  throw new RowfleetError('QUARANTINE_LIMIT', `${display(flow.target)}: ${over}`, {
    hint: 'see what they have in common with `rowfleet status --errors`; mend them, or raise migration.quarantine_limit',
  });
}

/**
 * Loads what of a batch can be loaded, and puts each driving row that is refused into quarantine, in the target
 * transaction that the caller has open. Throws QUARANTINE_LIMIT.
 */
export async function cornerBatch(ctx: QuarantineContext, range: Range): Promise<QuarantineTally> {
  const { claim, flow, source, target, seal } = ctx;
  const limit = ctx.plan.settings.quarantineLimit;
  const most = Math.max(0, limit.rows - (await countQuarantined(target, claim.runId)));
  const { refused, ...tally } = await corner({ ...ctx, most }, range);
  const flows = readTogether(ctx.plan, flow);
  let rowsQuarantined = 0;
  let failing: string | undefined;
  for (const { refusal, trace = null, ...unit } of refused) {
    ctx.signal.throwIfAborted();
    const values = await readRefused(source, flows, unit);
    if (values.outputs > 0) await blameColumn(source, flows, unit, refusal, failing);
    failing = refusal.column ?? failing;
    await insertRefused(target, claim, { ...refusal, trace, ...values }, seal);
    rowsQuarantined += values.outputs;
  }
  await holdToLimit(ctx, limit);
  await countRefusals(
    target,
    claim,
    refused.map(({ refusal }) => refusal),
  );
  await barrier('copy.quarantine');
  return { ...tally, rowsOut: tally.rowsOut + rowsQuarantined, rowsQuarantined };
}
