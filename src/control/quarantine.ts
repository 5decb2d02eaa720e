import { usageError } from '../errors.ts';
import { dropStatement, findDropped, settledCandidates } from '../ledger/candidates.ts';
import { readCancelledFlows } from '../ledger/flows.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { lockRun } from '../ledger/lock-run.ts';
import {
  type ChosenRow,
  discardRows,
  lockQuarantined,
  sendRows,
  sendTakeBacks,
  setEdited,
} from '../ledger/mend.ts';
import { type QuarantineState, readQuarantined, type TargetRow } from '../ledger/read-quarantine.ts';
import { lockRuns, type Run, type RunState, recordEvent } from '../ledger/runs.ts';
import { requireKey, type Seal, sealFrom } from '../ledger/seal.ts';
import { display } from '../pg/quote.ts';
import { type Session, withSession } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import { leaderOf } from '../plan/statements/select.ts';
import { requireFlow } from './act.ts';
import { type RowEdit, readEdit, requireSameRow } from './edited-rows.ts';
import { goOn, verifyAnew } from './resume.ts';

/** Which rows of a run: those named, in whatever state, or all that are held, of one flow or of all. */
export interface RowSelection {
  ids?: string[];
  flow?: string;
}

export interface SendRequest extends RowSelection {
  /** What people made of some of the rows. */
  edits?: RowEdit[];
  /** Also rows that are loaded as edited, by id: the plan's rows take the place of what was edited. */
  asSource?: boolean;
  actor: string;
}

/** What became of a request about rows in quarantine. */
export interface RowsSettled {
  rows: number;
  /** Of `rows`, those that are sent as edited. */
  edited: number;
  /** Rows that were named and left as they are, by the state that they are in. */
  left: { id: string; state: QuarantineState; asEdited?: boolean }[];
}

const open: readonly RunState[] = ['running', 'stopped', 'failed', 'findings', 'quarantined'];

function requireOpen(run: Run, deed: string): void {
  if (open.includes(run.state)) return;
  throw usageError(
    'RUN_STATE',
    `run ${run.id} is ${run.state}: no row of its quarantine can be ${deed}`,
    `see \`rowfleet status ${run.id}\``,
  );
}

const isBehindChecks = ({ phase }: Run): boolean => ['verify', 'constrain', 'finish'].includes(phase);

/** Checks that are under way would hold the target against another quarantine than they began with. */
function requireBeforeChecks(run: Run): void {
  if (run.state !== 'running' || !isBehindChecks(run)) return;
  throw usageError(
    'RUN_VERIFYING',
    `run ${run.id} is in phase ${run.phase}: its rows are being held against the source`,
    'wait until it has ended, then send the rows again',
  );
}

type Locked = ChosenRow[];

/** Locks the rows that were asked for, and divides them by whether they are in one of `states`. */
async function selectRows(
  tx: Session,
  run: Run,
  { ids, flow: named }: RowSelection,
  isDue: (row: ChosenRow) => boolean,
): Promise<{ due: Locked; left: RowsSettled['left'] }> {
  const flow = named === undefined ? undefined : requireFlow(run, named);
  const found = await lockQuarantined(tx, run.id, { ...(ids && { ids }), ...(flow && { flow }) });
  const unknown = (ids ?? []).filter((id) => !found.some((row) => row.id === id));
  if (unknown.length > 0) {
    const of = flow === undefined ? '' : ` of flow ${flow}`;
    throw usageError(
      'ROW_UNKNOWN',
      `the quarantine of run ${run.id} has no row ${unknown.join(', ')}${of}`,
      `rowfleet quarantine list ${run.id}`,
    );
  }
  const due = found.filter(isDue);
  const left = found
    .filter((row) => !due.includes(row))
    .map(({ id, state, asEdited }) => ({ id, state, ...(asEdited && { asEdited }) }));
  if (due.length > 0) return { due, left };
  const why = left
    .map(({ id, state, asEdited }) => `row ${id} is ${state}${asEdited ? ' as edited' : ''}`)
    .join(', ');
  const edited = left.filter(({ asEdited }) => asEdited).map(({ id }) => id);
  throw usageError(
    'ROWS_NONE',
    why === '' ? `run ${run.id} holds no such row in quarantine` : `nothing to do: ${why}`,
    edited.length === 0
      ? `rowfleet quarantine list ${run.id}`
      : `to take the edit back: rowfleet quarantine retry ${edited.join(' ')} --as-source --run ${run.id}`,
  );
}

async function refuseCancelled(tx: Session, run: Run, due: Locked): Promise<void> {
  const cancelled = await readCancelledFlows(tx, run.id);
  const row = due.find(({ flow }) => cancelled.includes(flow));
  if (row === undefined) return;
  throw usageError(
    'FLOW_CANCELLED',
    `row ${row.id} is of flow ${row.flow}, which is cancelled`,
    `take it up again with: rowfleet resume ${run.id} --flow ${row.flow}`,
  );
}

/** A row that was given up last took the candidates along that it would have to come among. */
async function refuseDropped(tx: Session, { id, plan }: Run, due: Locked): Promise<void> {
  for (const name of new Set(due.map(({ flow }) => flow))) {
    const flows = plan.flows.filter((flow) => leaderOf(flow) === name);
    const table = await findDropped(tx, id, plan, flows);
    if (table === undefined) continue;
    const ids = due.filter(({ flow }) => flow === name).map((row) => row.id);
    throw usageError(
      'CANDIDATES_GONE',
      `row ${ids.join(', ')} cannot be sent again: what rows of ${display(table)} with one key became is settled since it was given up`,
      `write it into ${display(table)} yourself, or migrate flow ${name} anew in a run of its own`,
    );
  }
}

/** Throws SEAL_KEY_MISSING, or EDIT_INVALID where an edit was made of another row than the one that has its id. */
async function requireSendable(
  tx: Session,
  run: Run,
  due: Locked,
  edits: RowEdit[],
  seal: Seal,
): Promise<void> {
  for (const { sealedWith } of due) requireKey(seal, sealedWith);
  const ids = edits.map(({ id }) => id);
  const rows = await readQuarantined(tx, { runId: run.id, ids }, seal);
  for (const row of rows) requireSameRow(edits.find(({ id }) => id === row.id)!, row);
}

/** Writes the tasks of rows that are sent, flow by flow in the order of the plan. */
async function sendByFlow(tx: Session, run: Run, due: Locked, actor: string): Promise<void> {
  for (const { name, target } of run.plan.flows) {
    const flow = { name, target: display(target) };
    const of = due.filter((row) => row.flow === name);
    const idsOf = (rows: Locked) => rows.map(({ id }) => id);
    const [back, anew] = [of.filter(({ asEdited }) => asEdited), of.filter(({ asEdited }) => !asEdited)];
    if (back.length > 0) await sendTakeBacks(tx, run.id, flow, idsOf(back), actor);
    if (anew.length > 0) await sendRows(tx, run.id, flow, idsOf(anew), actor);
  }
}

/** Writes down the edits of rows that are sent; one that changes nothing is none. Tells how many there were. */
async function keepEdits(tx: Session, run: Run, due: Locked, edits: RowEdit[], seal: Seal): Promise<number> {
  const byId = new Map(edits.map((edit) => [edit.id, edit]));
  const ids = due.map(({ id }) => id).filter((id) => byId.has(id));
  let edited = 0;
  for (const row of await readQuarantined(tx, { runId: run.id, ids }, seal)) {
    const flow = run.plan.flows.find(({ name }) => name === row.flow)!;
    const made: TargetRow[] | null = readEdit(flow, byId.get(row.id)!, row.values?.targetRows ?? null);
    if (made === null) continue;
    await setEdited(tx, row, made, seal);
    edited++;
  }
  return edited;
}

export { sealFrom };

const counted = (n: number) => `${n} ${n === 1 ? 'row' : 'rows'} of the quarantine`;

/**
 * Sends rows of a run's quarantine again and lets the run go on: each is loaded as the plan yields it by then, or as a
 * person edited it. Rows that are sent or loaded already are left alone, but for edits that are to be taken back. Throws RUN_STATE, RUN_VERIFYING, FLOW_UNKNOWN,
 * ROW_UNKNOWN, ROWS_NONE, ROWS_BUSY, FLOW_CANCELLED, CANDIDATES_GONE, EDIT_INVALID, and SEAL_KEY_MISSING
 * where rows are encrypted with another key than `seal`'s: whoever loads and verifies them needs it.
 */
export function sendRefused(
  ledger: Ledger,
  runId: string,
  { edits = [], asSource = false, actor, ...selection }: SendRequest,
  seal: Seal,
): Promise<RowsSettled> {
  return withSession(ledger.pool, (tx) =>
    inTransaction(tx, 'read committed', async () => {
      await lockRuns(tx);
      const run = await lockRun(tx, runId);
      requireOpen(run, 'sent again');
      requireBeforeChecks(run);
      const { due, left } = await selectRows(
        tx,
        run,
        selection,
        ({ state, asEdited }) => ['held', 'discarded'].includes(state) || (asSource && asEdited),
      );
      await refuseCancelled(tx, run, due);
      await refuseDropped(tx, run, due);
      await requireSendable(tx, run, due, edits, seal);
      await sendByFlow(tx, run, due, actor);
      const edited = await keepEdits(tx, run, due, edits, seal);
      const how = edited === 0 ? '' : `, ${edited} of them edited`;
      await recordEvent(tx, run.id, actor, `sent ${counted(due.length)} again${how}`);
      if (run.state !== 'running') await goOn(tx, run);
      // One that was stopped between its checks makes them anew.
      if (['stopped', 'failed'].includes(run.state) && isBehindChecks(run)) await verifyAnew(tx, run);
      return { rows: due.length, edited, left };
    }),
  );
}

/**
 * Gives rows of a run's quarantine up: they are kept, with who did it and why, and the run is never verified with them.
 * Throws RUN_STATE, FLOW_UNKNOWN, ROW_UNKNOWN, ROWS_NONE and ROWS_BUSY.
 */
export function discardRefused(
  ledger: Ledger,
  runId: string,
  { reason, actor, ...selection }: RowSelection & { reason: string; actor: string },
): Promise<RowsSettled> {
  return withSession(ledger.pool, (tx) =>
    inTransaction(tx, 'read committed', async () => {
      const run = await lockRun(tx, runId);
      requireOpen(run, 'discarded');
      const { due, left } = await selectRows(tx, run, selection, ({ state }) => state === 'held');
      await discardRows(
        tx,
        due.map(({ id }) => id),
        actor,
        reason,
      );
      await recordEvent(tx, run.id, actor, `discarded ${counted(due.length)}: ${reason}`);
      // A run that goes on does so when it finishes.
      if (run.state === 'quarantined')
        for (const table of await settledCandidates(tx, run.id, run.plan))
          await tx.query(dropStatement(table));
      return { rows: due.length, edited: 0, left };
    }),
  );
}
