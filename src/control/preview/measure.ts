import type { Estimate } from '../../copy/estimate.ts';
import { safeMessage, sqlState } from '../../pg/errors.ts';
import { isRefusal } from '../../pg/failure-class.ts';
import type { Session } from '../../pg/session.ts';
import { sqlStates } from '../../pg/sql-states.ts';
import { underSavepoint } from '../../pg/transaction.ts';
import type { ResolvedFlow, ResolvedPlan } from '../../plan/resolved-plan.ts';
import {
  blockRange,
  copyOutOfAll,
  copyOutStatement,
  isCutByKey,
  keyRange,
  type Range,
  readTogether,
} from '../../plan/statements/select.ts';
import { CopyOut } from '../../wire/copy-out.ts';
import { submit } from '../../wire/submit.ts';

/** What reading a part of a flow on the source cost. */
export interface Measured {
  /** Units of the flow's cutting that were read: blocks, or ranges between bounds. */
  units: number;
  rows: number;
  /** Of COPY data. */
  bytes: number;
  seconds: number;
}

/** A reading, or why there is none. */
export type Reading = ({ kind: 'measured' } & Measured) | { kind: 'none'; reason: string };

/** What one reading may take before it is given up: half a second is aimed at. */
const timeoutMs = 3_000;
/** Places of a flow that are read, each as much again as the one before. */
const places = 6;

/** Bytes of a driving table that is read whole to measure it, where it is one batch. */
const mostBytes = 16 * 1024 * 1024;

/** Ranges of a flow, spread over it, in the order in which they are read: small ones first. */
function* spreadRanges(flow: ResolvedFlow, { cut, bounds }: Estimate, firstUnits: number) {
  const total = cut.blocks.reduce((sum, blocks) => sum + blocks, 0);
  const pieces = Math.min(places, Math.ceil(total / firstUnits));
  for (let place = 0, units = firstUnits; place < pieces; place++, units *= 2) {
    const from = Math.floor((total * place) / pieces);
    const to = Math.min(Math.floor((total * (place + 1)) / pieces), from + units);
    if (isCutByKey(flow)) {
      const ends = { from: bounds[from - 1] ?? null, to: bounds[to - 1] ?? null };
      yield { range: keyRange(flow, ends), units: to - from };
    } else yield* pieceOfLeaf(flow, cut.blocks, from, to);
  }
}

function* pieceOfLeaf(flow: ResolvedFlow, blocks: number[], from: number, to: number) {
  let before = 0;
  for (const [i, leaf] of flow.leaves.entries()) {
    const [first, last] = [Math.max(0, from - before), Math.min(blocks[i]!, to - before)];
    before += blocks[i]!;
    if (first >= last) continue;
    yield { range: blockRange(leaf, first, last), units: last - first };
    return;
  }
}

/** Reads a range as a batch would, and keeps nothing of it. */
async function readRange(
  source: Session,
  flows: ResolvedFlow[],
  range: Range,
): Promise<Omit<Measured, 'units'>> {
  const [leader] = flows as [ResolvedFlow];
  const statement =
    flows.length === 1 ? copyOutStatement(leader, range) : copyOutOfAll(flows, range).statement;
  let bytes = 0;
  const copy = new CopyOut(statement, (frames) => {
    bytes += frames.length;
  });
  const started = performance.now();
  submit(source, copy);
  const rows = await copy.done;
  return { rows, bytes, seconds: (performance.now() - started) / 1000 };
}

const reasonOf = (error: unknown): string =>
  sqlState(error) === sqlStates.queryCanceled
    ? `a part of it was not read within ${timeoutMs / 1000} s`
    : `a row of the part that was read is refused: ${safeMessage(error)}`;

/**
 * Reads parts of a flow that are spread over it, as its batches would be read, for about `seconds`. `source` is in a
 * read-only transaction with the plan's search_path.
 */
export async function measureReading(
  source: Session,
  plan: ResolvedPlan,
  flow: ResolvedFlow,
  estimate: Estimate,
  seconds: number,
): Promise<Reading> {
  const { blocks, rowsPerBlock } = estimate.cut;
  const total = blocks.reduce((sum, n) => sum + n, 0);
  if (total === 0) {
    const isTable = flow.leaves.every((leaf) => leaf.hasCtid);
    return { kind: 'none', reason: isTable ? 'it holds no rows' : 'it is one batch, of all rows' };
  }
  if (isCutByKey(flow) && total === 1 && estimate.estimatedBytes > mostBytes)
    return { kind: 'none', reason: 'it is one batch, of all rows' };
  const flows = readTogether(plan, flow);
  const first = Math.max(1, Math.ceil(plan.settings.batchSize / rowsPerBlock));
  const sum: Measured = { units: 0, rows: 0, bytes: 0, seconds: 0 };
  const readAll = async () => {
    await source.query(`set local statement_timeout = ${timeoutMs}`);
    for (const { range, units } of spreadRanges(flow, estimate, first)) {
      const read = await readRange(source, flows, range);
      sum.units += units;
      for (const key of ['rows', 'bytes', 'seconds'] as const) sum[key] += read[key];
      if (sum.seconds >= seconds) break;
    }
    await source.query('set local statement_timeout = 0');
  };
  const outcome = await underSavepoint(source, isRefusal, readAll);
  if (outcome.kind === 'undone' && sum.units === 0) return { kind: 'none', reason: reasonOf(outcome.error) };
  return { kind: 'measured', ...sum };
}
