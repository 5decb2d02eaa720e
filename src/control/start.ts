import { usageError } from '../errors.ts';
import { readFilledTables } from '../ledger/filled-tables.ts';
import { createIdMaps } from '../ledger/id-maps.ts';
import { type Ledger, ledgerExists, migrateLedger } from '../ledger/ledger.ts';
import {
  insertRun,
  lockRuns,
  type Run,
  type RunKind,
  readUnfinishedRuns,
  recordEvent,
} from '../ledger/runs.ts';
import { display } from '../pg/quote.ts';
import { withSession } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import { planHash } from '../plan/hash.ts';
import { idMapsOf } from '../plan/id-maps.ts';
import type { ResolvedPlan } from '../plan/resolved-plan.ts';
import { updatedTables } from '../plan/statements/backfill.ts';

/** What a run starts from. */
export interface StartRequest {
  resolved: ResolvedPlan;
  /** The plan file, as the user named it; appears in hints. */
  file: string;
  /** `validate` checks what is there and copies nothing. */
  kind: RunKind;
  /** Who asks, for the audit. */
  actor: string;
}

/** What a run is, as the verb of a sentence. */
function howItIs({ state }: Run): string {
  if (state === 'failed') return 'failed';
  if (state === 'findings') return 'ended with findings';
  return state === 'quarantined' ? 'ended with rows in quarantine' : `is ${state}`;
}

function refuseUnfinished(run: Run, name: string, file: string): void {
  if (run.name !== name || run.kind !== 'migrate') return;
  throw usageError(
    'RUN_UNFINISHED',
    `run ${run.id} of plan "${run.name}" ${howItIs(run)} in phase ${run.phase}`,
    `go on with: rowfleet resume -c ${file} ${run.id}\nor undo it with: rowfleet cancel -c ${file} ${run.id}`,
  );
}

/**
 * Throws RUN_UNFINISHED while an earlier run of the plan can still go on. For callers that are about to resolve the
 * plan, which would call the tables that such a run has filled not empty.
 */
export async function refuseSecondRun(ledger: Ledger, name: string, file: string): Promise<void> {
  if (!(await ledgerExists(ledger.pool))) return;
  await migrateLedger(ledger);
  for (const run of await readUnfinishedRuns(ledger.pool)) refuseUnfinished(run, name, file);
}

/** A run that fills a table has it for itself: constraints are down, and to cancel it may empty it. */
function refuseOverlap(run: Run, plan: ResolvedPlan): void {
  const [filled, updated] = [plan.targets, updatedTables(plan)].map((tables) => new Set(tables.map(display)));
  const fills = run.plan.targets.map(display).find((table) => filled!.has(table) || updated!.has(table));
  const updates = updatedTables(run.plan)
    .map(display)
    .find((table) => filled!.has(table));
  const what = fills === undefined ? updates && `updates ${updates}` : `fills ${fills}`;
  if (what === undefined) return;
  throw usageError(
    'RUN_OVERLAPS',
    `run ${run.id} of plan "${run.name}" is unfinished and ${what} too`,
    'finish or cancel that run first',
  );
}

/**
 * Writes a new run for the schedulers, in a ledger that it creates where there is none, and returns its id. Throws RUN_UNFINISHED when an earlier run of the same
 * plan can still go on, and RUN_OVERLAPS when an unfinished run of another plan fills one of the same tables, or updates one that this plan fills.
 */
export async function startRun(ledger: Ledger, request: StartRequest): Promise<string> {
  const { resolved, file, kind, actor } = request;
  await migrateLedger(ledger);
  return withSession(ledger.pool, (session) =>
    inTransaction(session, 'read committed', async () => {
      await lockRuns(session);
      if (kind === 'migrate') {
        for (const run of await readUnfinishedRuns(session)) {
          refuseUnfinished(run, resolved.name, file);
          refuseOverlap(run, resolved);
        }
      }
      if (kind === 'migrate') await createIdMaps(session, idMapsOf(resolved));
      const plan = { plan: resolved, planHash: planHash(resolved), planFile: file };
      const id = await insertRun(session, {
        kind,
        ...plan,
        phase: kind === 'migrate' ? 'prepare' : 'verify',
      });
      await recordEvent(session, id, actor, kind === 'migrate' ? 'started' : 'started a validation');
      return id;
    }),
  );
}

export { readFilledTables };
