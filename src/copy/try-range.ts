import type { Range } from '../plan/statements/select.ts';
import { type LoadContext, type LoadOutcome, tryLoadRange } from './load-range.ts';
import { tryUpdateRange } from './update-range.ts';

/** Loads a range, or updates it in place, as its flow does: a refusal undoes no more than itself. Throws what is no row's fault. */
export const tryRange = (ctx: LoadContext, range: Range): Promise<LoadOutcome> =>
  ctx.flow.backfill === undefined ? tryLoadRange(ctx, range) : tryUpdateRange(ctx.target, ctx.flow, range);
