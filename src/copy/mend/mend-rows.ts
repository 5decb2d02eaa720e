import { barrier } from '../../barrier.ts';
import { RowfleetError } from '../../errors.ts';
import { countRefusals } from '../../ledger/error-patterns.ts';
import { finishTask, lockClaim, type Tally, TaskLocked } from '../../ledger/fence.ts';
import { hasEarlierMend, type MendSpec } from '../../ledger/mend.ts';
import { lockQuarantine, type Refusal } from '../../ledger/quarantine.ts';
import { lockReload } from '../../ledger/reload.ts';
import { recordEvent } from '../../ledger/runs.ts';
import {
  forgetEdit,
  holdAgain,
  keepFound,
  lockEdited,
  lockSent,
  noteOf,
  type SentRow,
  settleLoaded,
} from '../../ledger/sent-rows.ts';
import { classify } from '../../pg/failure-class.ts';
import { display } from '../../pg/quote.ts';
import { sqlStates } from '../../pg/sql-states.ts';
import { inTransaction, underSavepoint } from '../../pg/transaction.ts';
import type { ResolvedFlow } from '../../plan/resolved-plan.ts';
import { unitRange } from '../../plan/statements/key-units.ts';
import { readTogether } from '../../plan/statements/select.ts';
import { type CopyBatchInput, flowOf } from '../batch-input.ts';
import { blameColumn, readRefused } from '../corner/read-refused.ts';
import { refusalOf, traceOf } from '../corner/refusal.ts';
import { silenceTriggers } from '../derive/triggers.ts';
import type { LoadOutcome, LoadTally } from '../load-range.ts';
import { tryRange } from '../try-range.ts';
import { type FoundAt, findRow } from './find-row.ts';
import { amongCandidates } from './fuse-sent.ts';
import { insertEdited } from './insert-edited.ts';
import { type TakenBack, takeBack } from './take-back.ts';

/** The same as for a batch; its claim is of a task of kind `mend`. */
type MendInput = CopyBatchInput;

/** What became of one row: target rows that came of it, or why it is refused once more. */
type Result =
  | ({ kind: 'loaded'; how: string } & LoadTally)
  | {
      kind: 'refused';
      refusal: Refusal;
      trace?: string | null;
      found: Extract<FoundAt, { kind: 'there' }> | null;
    };

const rowsOf = (n: number): string => `${n} ${n === 1 ? 'row' : 'rows'}`;

function resultOf(
  flow: ResolvedFlow,
  outcome: LoadOutcome,
  found: Extract<FoundAt, { kind: 'there' }> | null,
): Result {
  if (outcome.kind === 'refused')
    return { kind: 'refused', refusal: refusalOf(outcome), trace: traceOf(outcome.error), found };
  const how = `${found === null ? 'loaded as edited' : 'loaded as the plan yields it'}: ${rowsOf(outcome.rowsIn)}`;
  if (outcome.rowsIn === outcome.rowsOut) return { ...outcome, kind: 'loaded', how };
  throw new RowfleetError(
    'ROWS_DIFFER',
    `${flow.name}: of ${outcome.rowsOut} rows ${display(flow.target)} took ${outcome.rowsIn}`,
    { hint: 'a rule or a trigger of the target drops or adds rows: take it down for the migration' },
  );
}

/** A driving row has no target rows while it is refused, so that what it yields now can be loaded as it is. */
async function sendRow(input: MendInput, flow: ResolvedFlow, row: SentRow): Promise<Result> {
  const { source, target, signal } = input;
  signal.throwIfAborted();
  if (row.edited !== null) return resultOf(flow, await insertEdited(target, flow, row.edited), null);
  const found = await findRow(source, flow, row);
  if (found.kind === 'gone') return { kind: 'loaded', how: found.how, rowsOut: 0, rowsIn: 0, bytes: 0 };
  if (found.kind === 'lost') return { kind: 'refused', refusal: found.refusal, found: null };
  return resultOf(flow, await tryRange({ ...input, flow }, found.range), found);
}

const codeOf = (result: Result): string | undefined =>
  result.kind === 'refused' ? result.refusal.code : undefined;

/** Sends all rows; what a foreign key refused is sent again for as long as that lets others in that it may refer to. */
async function sendAll(input: MendInput, flow: ResolvedFlow, rows: SentRow[]): Promise<Map<SentRow, Result>> {
  const results = new Map<SentRow, Result>();
  let due = rows;
  for (let loaded = true; loaded && due.length > 0; ) {
    loaded = false;
    for (const row of due) {
      const result = await sendRow(input, flow, row);
      results.set(row, result);
      loaded ||= result.kind === 'loaded';
    }
    due = due.filter((row) => codeOf(results.get(row)!) === sqlStates.foreignKeyViolation);
  }
  return results;
}

/**
 * Sends rows whose candidates are fused right behind them. Where the target refuses what they become, halves of them are sent,
 * until each that is refused stands alone.
 */
async function sendFused(
  input: MendInput,
  flow: ResolvedFlow,
  rows: SentRow[],
  fuse: () => Promise<void>,
): Promise<Map<SentRow, Result>> {
  const isOfRow = (error: unknown) => classify(error, 'target') === 'row';
  const outcome = await underSavepoint(input.target, isOfRow, async () => {
    const sent = await sendAll(input, flow, rows);
    await fuse();
    return sent;
  });
  if (outcome.kind === 'done') return outcome.value;
  if (rows.length === 1) {
    const [row] = rows as [SentRow];
    const found = await findRow(input.source, flow, row);
    const refusal = refusalOf({ kind: 'refused', side: 'target', error: outcome.error as Error });
    return new Map([[row, { kind: 'refused', refusal, found: found.kind === 'there' ? found : null }]]);
  }
  const middle = Math.ceil(rows.length / 2);
  return new Map([
    ...(await sendFused(input, flow, rows.slice(0, middle), fuse)),
    ...(await sendFused(input, flow, rows.slice(middle), fuse)),
  ]);
}

async function settle(input: MendInput, flow: ResolvedFlow, row: SentRow, result: Result): Promise<void> {
  const { claim, source, target, seal } = input;
  if (result.kind === 'loaded') return settleLoaded(target, claim, row, result);
  if (result.found === null) return holdAgain(target, claim, row, result.refusal);
  const { refusal } = result;
  const { range, key } = result.found;
  // The values of its key were handed over before those of the others.
  const found = key === undefined ? { range } : { key, range: await unitRange(source, flow, key) };
  const flows = readTogether(input.plan, flow);
  const values = await readRefused(source, flows, found);
  if (values.outputs > 0) await blameColumn(source, flows, found, refusal);
  await holdAgain(target, claim, row, refusal);
  await keepFound(target, row, { ...values, trace: result.trace ?? null }, seal);
}

/** Takes edits back; tells what came of it where the row is not as it was. */
async function takeAllBack(
  input: MendInput,
  flow: ResolvedFlow,
  rows: SentRow[],
): Promise<Exclude<TakenBack, { kind: 'kept' }>[]> {
  const { claim, target } = input;
  const taken: Exclude<TakenBack, { kind: 'kept' }>[] = [];
  for (const row of rows) {
    const result = await takeBack(input, flow, row);
    if (result.kind === 'kept') {
      const did = `the edit was not taken back: ${result.why}`;
      await noteOf(target, claim, row, did);
      await recordEvent(target, claim.runId, 'loader', `row ${row.id} of the quarantine: ${did}`);
      continue;
    }
    await forgetEdit(target, row);
    await settle(input, flow, row, result);
    taken.push(result);
  }
  return taken;
}

type Mended = LoadTally & Pick<Tally, 'evidence'>;

async function mend(input: MendInput, flow: ResolvedFlow): Promise<Mended> {
  const { claim, source, target, seal, plan } = input;
  // Before the rows, as a reload has it: one that is under way keeps the edits that it began with.
  if ((claim.spec as MendSpec).takeBack !== undefined) await lockReload(target, claim.relation, true);
  const edited = await lockEdited(target, claim, seal);
  const rows = await lockSent(target, claim, seal);
  const isUpdated = flow.backfill !== undefined;
  const tables = new Map(readTogether(plan, flow).map((each) => [display(each.target), each.target]));
  const restores: (() => Promise<void>)[] = [];
  // A table that is updated in place is in use: its triggers fire as they do for the application.
  if (!isUpdated) for (const table of tables.values()) restores.push(await silenceTriggers(target, table));
  // Its rows are locked and computed where they stand.
  const at = isUpdated ? { ...input, source: target } : input;
  await target.query('set constraints all immediate');
  // A snapshot of its own: what people mended in the source came after the run's.
  const results = await inTransaction(
    source,
    'repeatable read, read only',
    async () => {
      // What a row refers to may be on its way too. Asked before: it may arrive while these are sent.
      const others = await hasEarlierMend(target, claim);
      const sent = await amongCandidates(input, flow, (fuse) =>
        fuse === undefined ? sendAll(at, flow, rows) : sendFused(at, flow, rows, fuse),
      );
      const lacks = [...sent.values()].some((result) => codeOf(result) === sqlStates.foreignKeyViolation);
      if (lacks && others) throw new TaskLocked(claim.taskId, 'rows that were sent before come first');
      for (const [row, result] of sent) await settle(at, flow, row, result);
      return [...sent.values(), ...(await takeAllBack(input, flow, edited))];
    },
    { searchPath: plan.source.searchPath },
  );
  for (const fireAgain of restores) await fireAgain();
  const refusals = results.flatMap((result) => (result.kind === 'refused' ? [result.refusal] : []));
  if (refusals.length > 0) {
    await lockQuarantine(target, claim.runId, flow.name);
    await countRefusals(target, claim, refusals);
  }
  const loaded = results.filter((result) => result.kind === 'loaded');
  const sum = (of: (result: LoadTally) => number) => loaded.reduce((total, each) => total + of(each), 0);
  return {
    rowsOut: sum(({ rowsOut }) => rowsOut),
    rowsIn: sum(({ rowsIn }) => rowsIn),
    bytes: sum(({ bytes }) => bytes),
    evidence: { sent: results.length, loaded: loaded.length, refused: refusals.length },
  };
}

/**
 * Sends refused rows again: each as the plan yields it by now, or as a person edited it. What is refused once more goes
 * back into quarantine with the new reason and holds nothing else up. Rows and record commit together.
 */
export async function mendRows(input: MendInput): Promise<LoadTally> {
  const { plan, claim, target } = input;
  const flow = flowOf(plan, claim);
  const started = performance.now();
  return inTransaction(
    target,
    'read committed',
    async () => {
      await lockClaim(target, claim);
      const tally = await mend(input, flow);
      await barrier('copy.record');
      await finishTask(target, claim, { ...tally, seconds: (performance.now() - started) / 1000 });
      await barrier('copy.commit');
      return tally;
    },
    { searchPath: plan.target.searchPath },
  );
}
