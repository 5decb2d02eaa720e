import { RowfleetError } from '../../errors.ts';
import { display } from '../../pg/quote.ts';
import { sqlStates } from '../../pg/sql-states.ts';
import type { Leaf } from '../../plan/resolved-plan.ts';
import { rowRange, type TidRange } from '../../plan/statements/select.ts';
import { type LoadTally, tryLoadRange } from '../load-range.ts';
import type { CornerContext, CorneredRow } from './context.ts';
import { halve } from './halve.ts';
import { gatheredRows, refusalOf } from './refusal.ts';
import { isSweepable, sweep } from './sweep.ts';

export interface Cornered extends LoadTally {
  refused: CorneredRow[];
}

/** COPYs that halving may cost one batch, before its rows go through a stage and are looked at all at once. */
const mostTries = 200;

/**
 * What a foreign key refused is tried once more, now that the rows of the batch that it may refer to are in; and what a
 * sweep put behind a row that was refused itself. Each pass goes in the other direction, so that a chain of rows comes in
 * at once whichever way it points.
 */
async function tryAgain(ctx: CornerContext, refused: Map<string, CorneredRow>, leaf: Leaf, tally: LoadTally) {
  for (let order = [...refused.keys()].reverse(), loaded = true; loaded; order.reverse()) {
    loaded = false;
    for (const tid of order) {
      ctx.signal.throwIfAborted();
      const row = refused.get(tid);
      if (row === undefined) continue;
      const mayPass =
        row.behind === undefined
          ? row.refusal.code === sqlStates.foreignKeyViolation
          : refused.has(row.behind);
      if (!mayPass) continue;
      const outcome = await tryLoadRange(ctx, rowRange(leaf, tid));
      if (outcome.kind === 'refused') {
        refused.set(tid, { tid, refusal: refusalOf(outcome) });
        continue;
      }
      add(tally, outcome);
      refused.delete(tid);
      loaded = true;
    }
  }
}

function add(tally: LoadTally, { rowsIn, rowsOut, bytes, outputs = {} }: LoadTally): void {
  tally.rowsIn += rowsIn;
  tally.rowsOut += rowsOut;
  tally.bytes += bytes;
  for (const [flow, rows] of Object.entries(outputs)) {
    tally.outputs ??= {};
    const known = tally.outputs[flow] ?? { rowsOut: 0, rowsIn: 0 };
    tally.outputs[flow] = { rowsOut: known.rowsOut + rows.rowsOut, rowsIn: known.rowsIn + rows.rowsIn };
  }
}

function tooMany({ flow, most }: CornerContext, leaf: Leaf, { tid, refusal }: CorneredRow): RowfleetError {
  const row = `the row at ${tid} of ${display(leaf)}`;
  return new RowfleetError(
    'QUARANTINE_LIMIT',
    `${display(flow.target)}: more rows are refused than quarantine_limit leaves (${most}); ${row}: ${refusal.message}`,
    { hint: 'mend the rows or the plan, or raise migration.quarantine_limit' },
  );
}

/**
 * Loads what of a range can be loaded: what is refused is cut in two, until each refused driving row stands alone. The
 * COPYs are those of a plain load, so they mean the same. Where that becomes too much, a sweep finds most of the
 * refused rows at once. Rows that come in are kept; nothing is recorded.
 */
export async function corner(ctx: CornerContext, range: TidRange): Promise<Cornered> {
  await ctx.target.query('set constraints all immediate');
  const tally: LoadTally = { rowsOut: 0, rowsIn: 0, bytes: 0 };
  const refused = new Map<string, CorneredRow>();
  const refuse = (row: CorneredRow) => {
    refused.set(row.tid, row);
    if (refused.size > ctx.most) throw tooMany(ctx, range.leaf, row);
  };
  let open = [range];
  for (let tries = 1; open.length > 0; tries++) {
    ctx.signal.throwIfAborted();
    if (tries === mostTries && isSweepable(ctx.flow)) {
      const swept = await sweep(ctx, open);
      for (const row of swept) refuse(row);
      const except = swept.map(({ tid }) => tid);
      open = open.map((each) => ({ ...each, except }));
    }
    const next = open.pop()!;
    const outcome = await tryLoadRange(ctx, next);
    if (outcome.kind === 'copied') {
      add(tally, outcome);
      continue;
    }
    const gathered = gatheredRows(outcome);
    if (gathered.length > 0) {
      for (const row of gathered) refuse(row);
      open.push({ ...next, except: [...(next.except ?? []), ...new Set(gathered.map(({ tid }) => tid))] });
      continue;
    }
    const cut = await halve(ctx.source, next);
    if (cut.kind === 'halves') open.push(cut.halves[1], cut.halves[0]);
    else refuse({ tid: cut.tid, refusal: refusalOf(outcome) });
  }
  await tryAgain(ctx, refused, range.leaf, tally);
  return { ...tally, refused: [...refused.values()] };
}
