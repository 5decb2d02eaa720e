import { usageError } from '../errors.ts';
import { readFlows } from '../ledger/flows.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { countStates } from '../ledger/read-quarantine.ts';
import { insertRevision, lockPlan } from '../ledger/revisions.ts';
import type { Run } from '../ledger/runs.ts';
import { sqlState } from '../pg/errors.ts';
import type { Session } from '../pg/session.ts';
import { sqlStates } from '../pg/sql-states.ts';
import { comparePlans, continued, otherMigration, type PlanChange } from '../plan/compare-plans.ts';
import { planHash } from '../plan/hash.ts';
import type { ResolvedPlan } from '../plan/resolved-plan.ts';
import { actOn } from './act.ts';
import { applyConsequences, consequencesOf, type FlowConsequence } from './revise-rows.ts';

/** A mended plan, held against both databases. */
export interface RevisionRequest {
  resolved: ResolvedPlan;
  /** The plan file, as the user named it. */
  file: string;
  actor: string;
  /** Only tells what would change. */
  dryRun?: boolean;
}

/** What a revision changes. */
export interface Revision {
  runId: string;
  state: Run['state'];
  /** The plan's number in the run; the one that it has where nothing changes or it is a dry run. */
  number: number;
  changes: PlanChange[];
  consequences: FlowConsequence[];
  /** Rows of the run's quarantine that can be sent again. */
  held: number;
}

/** Waits for the attempts under way, which go by the plan before; a minute is longer than a batch gets. */
async function takePlan(tx: Session, run: Run): Promise<void> {
  try {
    await tx.query(`set local lock_timeout = '60s'`);
    await lockPlan(tx, run.id);
    await readFlows(tx, run.id, { lock: true });
    await tx.query(`set local lock_timeout = '5s'`);
  } catch (error) {
    if (sqlState(error) !== sqlStates.lockNotAvailable) throw error;
    throw usageError(
      'RUN_BUSY',
      `batches of run ${run.id} that go by the plan as it was did not end within a minute`,
      `let the run come to rest: rowfleet pause ${run.id}`,
    );
  }
}

const nameOf = ({ flow, what }: PlanChange): string => (flow === null ? what : `${flow}: ${what}`);

function summaryOf(changes: PlanChange[], consequences: FlowConsequence[]): string {
  const again = consequences.filter(({ kind }) => kind !== 'nothing').map(({ flow }) => flow);
  const changed = changes.slice(0, 5).map(nameOf).join(', ') || 'where its databases are';
  const more = changes.length > 5 ? ` and ${changes.length - 5} more` : '';
  return `${changed}${more}${again.length === 0 ? '' : `; loaded again: ${again.join(', ')}`}`;
}

/**
 * What is different between the plan that a run goes by and a plan as its file stands now, in a few words; undefined
 * where nothing is.
 */
export function planDifference(run: Run, resolved: ResolvedPlan): string | undefined {
  const other = otherMigration(run.plan, resolved);
  if (other !== undefined) return other;
  const changes = comparePlans(run.plan, continued(run.plan, resolved));
  return changes.length === 0 ? undefined : summaryOf(changes, []);
}

/**
 * Makes a mended plan the next revision of a run. Rows that were loaded by the plan before, and that the new one may not
 * yield, are loaded again when the run goes on. Waits for batches under way. Throws REVISION_OTHER where it is another
 * migration, REVISION_REFUSED where loaded rows cannot be made to match, RUN_BUSY and RUN_STATE.
 */
export function revisePlan(ledger: Ledger, runId: string, request: RevisionRequest): Promise<Revision> {
  const { resolved, file, actor, dryRun = false } = request;
  const allowed = ['running', 'stopped', 'failed', 'findings', 'quarantined'] as const;
  return actOn(ledger, runId, { actor, allowed, deed: 'revised', alone: true }, async (tx, run) => {
    const other = run.kind === 'migrate' ? otherMigration(run.plan, resolved) : 'the run only validates';
    if (other !== undefined)
      throw usageError(
        'REVISION_OTHER',
        `this plan is no revision of run ${run.id}'s: ${other}`,
        `that is a migration of its own: cancel run ${run.id}, then start anew`,
      );
    const plan = continued(run.plan, resolved);
    const hash = planHash(plan);
    const changes = comparePlans(run.plan, plan);
    const same = hash === run.planHash;
    if (!same && !dryRun) await takePlan(tx, run);
    const consequences = await consequencesOf(tx, run, plan, changes);
    if (!same && !dryRun) await applyConsequences(tx, run, plan, consequences);
    const { held } = await countStates(tx, { runId: run.id });
    const revision = { runId, state: run.state, number: run.revision, changes, consequences, held };
    if (same || dryRun) return { changed: null, result: revision };
    const summary = summaryOf(changes, consequences);
    const number = await insertRevision(tx, run.id, {
      ...{ plan, planHash: hash, planFile: file, actor, summary },
    });
    return { changed: `revision ${number} of the plan: ${summary}`, result: { ...revision, number } };
  });
}
