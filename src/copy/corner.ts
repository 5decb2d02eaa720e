import { RowfleetError } from '../errors.ts';
import type { Refusal } from '../ledger/quarantine.ts';
import { columnOf, constraintOf, safeMessage, sqlState } from '../pg/errors.ts';
import { classify } from '../pg/failure-class.ts';
import { display } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { copyInStatement, copyOutStatement, type TidRange } from '../plan/select.ts';
import type { ResolvedFlow } from '../plan/types.ts';
import { halve } from './halve.ts';
import { type RelayOutcome, type RelayTally, tryRelay } from './relay.ts';

/** Both sessions are in the batch's transactions. */
export interface CornerContext {
  flow: ResolvedFlow;
  source: Session;
  target: Session;
  signal: AbortSignal;
  onBytes: (bytes: number) => void;
  /** Driving rows that may be set aside; one more and the batch fails. */
  most: number;
}

/** A driving row that stands alone, and why it was refused. */
export interface CorneredRow {
  tid: string;
  refusal: Refusal;
}

export interface Cornered extends RelayTally {
  refused: CorneredRow[];
}

type Refused = Extract<RelayOutcome, { kind: 'refused' }>;

const foreignKeyViolation = '23503';

function refusalOf({ side, error }: Refused): Refusal {
  const code = sqlState(error)!;
  const constraint = constraintOf(error);
  const column = columnOf(error);
  return {
    stage: side === 'source' ? 'extract' : /^(23|44)/.test(code) ? 'constraint' : 'load',
    side,
    code,
    message: safeMessage(error).replace(/, line \d+ of the batch/, ''),
    ...(constraint === undefined ? {} : { constraint }),
    ...(column === undefined ? {} : { column }),
  };
}

const both = ({ source, target }: CornerContext, sql: string) =>
  Promise.all([source.query(sql), target.query(sql)]);

/** Copies a range under a savepoint, so that a refusal undoes no more than the range. Throws what is no row's fault. */
async function tryRange(ctx: CornerContext, range: TidRange): Promise<RelayOutcome> {
  const { flow, source, target, signal, onBytes } = ctx;
  await both(ctx, 'savepoint rowfleet_range');
  const outcome = await tryRelay(
    { session: source, statement: copyOutStatement(flow, range) },
    { session: target, statement: copyInStatement(flow) },
    { signal, onBytes },
  );
  if (outcome.kind === 'refused') {
    if (classify(outcome.error, outcome.side) !== 'row') throw outcome.error;
    await both(ctx, 'rollback to savepoint rowfleet_range');
  }
  await both(ctx, 'release savepoint rowfleet_range');
  return outcome;
}

/**
 * What a foreign key refused is tried once more, now that the rows of the batch that it may refer to are in; each pass
 * in the other direction, so that a chain of rows comes in at once whichever way it points.
 */
async function tryAgain(ctx: CornerContext, refused: Map<TidRange, CorneredRow>, tally: RelayTally) {
  for (let order = [...refused].reverse(), loaded = true; loaded; order.reverse()) {
    loaded = false;
    for (const [range, { refusal }] of order) {
      if (refusal.code !== foreignKeyViolation || !refused.has(range)) continue;
      const outcome = await tryRange(ctx, range);
      if (outcome.kind === 'refused') continue;
      add(tally, outcome);
      refused.delete(range);
      loaded = true;
    }
  }
}

function add(tally: RelayTally, { rowsIn, rowsOut, bytes }: RelayTally): void {
  tally.rowsIn += rowsIn;
  tally.rowsOut += rowsOut;
  tally.bytes += bytes;
}

function tooMany(
  { flow, most }: CornerContext,
  { leaf }: TidRange,
  { tid, refusal }: CorneredRow,
): RowfleetError {
  const row = `the row at ${tid} of ${display(leaf)}`;
  return new RowfleetError(
    'QUARANTINE_LIMIT',
    `${display(flow.target)}: more rows are refused than quarantine_limit leaves (${most}); ${row}: ${refusal.message}`,
    { hint: 'mend the rows or the plan, or raise migration.quarantine_limit' },
  );
}

/**
 * Loads what of a range can be loaded: what is refused is cut in two, until each refused driving row stands alone. The
 * COPYs are those of a plain load, so they mean the same. Rows that come in are kept; nothing is recorded.
 */
export async function corner(ctx: CornerContext, range: TidRange): Promise<Cornered> {
  await ctx.target.query('set constraints all immediate');
  const tally: RelayTally = { rowsOut: 0, rowsIn: 0, bytes: 0 };
  const refused = new Map<TidRange, CorneredRow>();
  const open = [range];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    ctx.signal.throwIfAborted();
    const outcome = await tryRange(ctx, next);
    if (outcome.kind === 'copied') {
      add(tally, outcome);
      continue;
    }
    const cut = await halve(ctx.source, next);
    if (cut.kind === 'halves') {
      open.push(cut.halves[1], cut.halves[0]);
      continue;
    }
    const row = { tid: cut.tid, refusal: refusalOf(outcome) };
    refused.set(next, row);
    if (refused.size > ctx.most) throw tooMany(ctx, next, row);
  }
  await tryAgain(ctx, refused, tally);
  return { ...tally, refused: [...refused.values()] };
}
