import { emptyCandidates } from '../ledger/candidates.ts';
import { restartFlows } from '../ledger/flows.ts';
import { fuseAgain } from '../ledger/objects.ts';
import { display } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedFlow, ResolvedPlan } from '../plan/resolved-plan.ts';
import { emptyTables } from './empty.ts';

/**
 * The first of flows whose table would be emptied although it held rows before the run, which must not go. Id maps go on; of
 * tables that are updated in place, which are not emptied, no rows are counted before a run.
 */
export const heldBefore = (flows: ResolvedFlow[], before: Record<string, number>): ResolvedFlow | undefined =>
  flows.find(({ target, idMap }) => !idMap && (before[display(target)] ?? 0) > 0);

/**
 * Empties the tables of flows and lets copying begin anew, in the caller's transaction; `flows` are all that `restarting`
 * gives. Id maps keep what they have. Throws LOCK_NOT_AVAILABLE and STILL_REFERRED.
 */
export async function startAgain(
  tx: Session,
  runId: string,
  plan: ResolvedPlan,
  flows: ResolvedFlow[],
): Promise<void> {
  const copied = flows.filter(({ backfill }) => backfill === undefined);
  const tables = new Set(copied.map(({ target }) => display(target)));
  // Batches first: this waits for attempts under way, whose rows then go along.
  await restartFlows(
    tx,
    runId,
    flows.map(({ name }) => name),
  );
  const emptied = plan.targets.filter((target) => tables.has(display(target)));
  if (emptied.length > 0) await emptyTables(tx, emptied);
  await emptyCandidates(tx, runId, plan, tables);
  await fuseAgain(tx, runId, [...tables]);
}
