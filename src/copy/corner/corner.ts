import { RowfleetError } from '../../errors.ts';
import { display } from '../../pg/quote.ts';
import { sqlStates } from '../../pg/sql-states.ts';
import { type Range, rowRange, type TidRange } from '../../plan/statements/select.ts';
import type { LoadTally } from '../load-range.ts';
import { tryRange } from '../try-range.ts';
import type { CornerContext, CorneredUnit } from './context.ts';
import { halve } from './halve.ts';
import { KeyHalver } from './halve-key.ts';
import { gatheredRows, refusalOf, traceOf } from './refusal.ts';
import { isSweepable, sweep } from './sweep.ts';

export interface Cornered extends LoadTally {
  refused: CorneredUnit[];
}

/** COPYs that halving may cost one batch, before its rows go through a stage and are looked at all at once. */
const mostTries = 200;

/**
 * What a foreign key refused is tried once more, now that the rows of the batch that it may refer to are in; and what a
 * sweep put behind a row that was refused itself. Each pass goes in the other direction, so that a chain of rows comes in
 * at once whichever way it points.
 */
async function tryAgain(ctx: CornerContext, refused: Map<string, CorneredUnit>, tally: LoadTally) {
  for (let order = [...refused.keys()].reverse(), loaded = true; loaded; order.reverse()) {
    loaded = false;
    for (const at of order) {
      ctx.signal.throwIfAborted();
      const row = refused.get(at);
      if (row === undefined) continue;
      const mayPass =
        row.behind === undefined
          ? row.refusal.code === sqlStates.foreignKeyViolation
          : refused.has(row.behind);
      if (!mayPass) continue;
      const outcome = await tryRange(ctx, row.range);
      if (outcome.kind === 'refused') {
        const { behind: _, ...unit } = row;
        refused.set(at, { ...unit, refusal: refusalOf(outcome) });
        continue;
      }
      add(tally, outcome);
      refused.delete(at);
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

function tooMany(
  { flow, most }: CornerContext,
  { at, key = {}, range, refusal }: CorneredUnit,
): RowfleetError {
  const one = range.leaf
    ? `the row at ${at} of ${display(range.leaf)}`
    : `one by its ${Object.keys(key).join(', ')}`;
  return new RowfleetError(
    'QUARANTINE_LIMIT',
    `${display(flow.target)}: more rows are refused than quarantine_limit leaves (${most}); ${one}: ${refusal.message}`,
    { hint: 'mend the rows or the plan, or raise migration.quarantine_limit' },
  );
}

const isTidRange = (range: Range): range is TidRange => range.leaf !== undefined;

/** What a refused range becomes: smaller ones, or the unit that it is. */
type Cut = { kind: 'ranges'; ranges: Range[] } | { kind: 'alone'; unit: Omit<CorneredUnit, 'refusal'> };

async function cutInTwo(ctx: CornerContext, halver: KeyHalver, range: Range, error: Error): Promise<Cut> {
  if (isTidRange(range)) {
    const cut = await halve(ctx.source, range);
    if (cut.kind === 'halves') return { kind: 'ranges', ranges: cut.halves };
    return { kind: 'alone', unit: { at: cut.tid, range: rowRange(range.leaf, cut.tid) } };
  }
  const cut = await halver.halve(range, error);
  if (cut.kind === 'halves') return { kind: 'ranges', ranges: cut.halves };
  if (cut.kind === 'alone')
    return { kind: 'alone', unit: { at: JSON.stringify(Object.values(cut.key)), range, key: cut.key } };
  // What is updated in place may be gone by now; under a snapshot some row was refused.
  if (ctx.flow.backfill === undefined) throw error;
  return { kind: 'ranges', ranges: [] };
}

/** What a transform gathered of a range. */
function gatheredUnits(range: Range, outcome: Parameters<typeof gatheredRows>[0]): CorneredUnit[] {
  if (!isTidRange(range)) return [];
  return gatheredRows(outcome).map(({ tid, ...row }) => ({
    ...{ at: tid, range: rowRange(range.leaf, tid) },
    ...row,
  }));
}

/**
 * Loads what of a range can be loaded: what is refused is cut in two, until each refused unit stands alone. The
 * COPYs are those of a plain load, so they mean the same. Where that becomes too much, a sweep finds most of the
 * refused rows at once. Rows that come in are kept; nothing is recorded.
 */
export async function corner(ctx: CornerContext, range: Range): Promise<Cornered> {
  await ctx.target.query('set constraints all immediate');
  const tally: LoadTally = { rowsOut: 0, rowsIn: 0, bytes: 0 };
  const refused = new Map<string, CorneredUnit>();
  const refuse = (unit: CorneredUnit) => {
    refused.set(unit.at, unit);
    if (refused.size > ctx.most) throw tooMany(ctx, unit);
  };
  const halver = new KeyHalver(ctx.source, ctx.flow);
  let open = [range];
  for (let tries = 1; open.length > 0; tries++) {
    ctx.signal.throwIfAborted();
    if (tries === mostTries && isSweepable(ctx.flow)) {
      const ranges = open.filter(isTidRange);
      const swept = await sweep(ctx, ranges);
      for (const unit of swept) refuse(unit);
      const except = swept.map(({ at }) => at);
      open = ranges.map((each) => ({ ...each, except }));
    }
    const next = open.pop()!;
    const outcome = await tryRange(ctx, next);
    if (outcome.kind === 'copied') {
      add(tally, outcome);
      continue;
    }
    const gathered = gatheredUnits(next, outcome);
    if (gathered.length > 0 && isTidRange(next)) {
      for (const unit of gathered) refuse(unit);
      open.push({ ...next, except: [...(next.except ?? []), ...new Set(gathered.map(({ at }) => at))] });
      continue;
    }
    const cut = await cutInTwo(ctx, halver, next, outcome.error);
    if (cut.kind === 'ranges') open.push(...cut.ranges.reverse());
    else refuse({ ...cut.unit, refusal: refusalOf(outcome), trace: traceOf(outcome.error) });
  }
  await tryAgain(ctx, refused, tally);
  return { ...tally, refused: [...refused.values()] };
}
