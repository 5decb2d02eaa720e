import { display, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedFlow, ResolvedPlan } from '../plan/resolved-plan.ts';
import { createLike, flowsInto, fusionInto } from '../plan/statements/fuse.ts';
import { leaderOf } from '../plan/statements/select.ts';
import { readCancelledFlows } from './flows.ts';
import type { Queryable } from './ledger.ts';

/** A target table whose rows are fused, and the table of the ledger that its candidates wait in. */
export interface CandidateTable {
  relation: RelationName;
  candidates: RelationName;
}

/** The target tables of a plan whose rows are fused. */
export function candidateTables(runId: string, plan: ResolvedPlan): CandidateTable[] {
  return plan.targets.flatMap(({ schema, name }, i) =>
    fusionInto(plan, { schema, name }) === undefined
      ? []
      : [
          {
            relation: { schema, name },
            candidates: { schema: 'rowfleet', name: `candidates_${runId}_${i}` },
          },
        ],
  );
}

/** Where the rows of a target table come down in a run: in itself, or among its candidates. */
export const landingIn = (runId: string, plan: ResolvedPlan, target: RelationName): RelationName =>
  candidateTables(runId, plan).find(({ relation }) => display(relation) === display(target))?.candidates ??
  target;

/** Makes the tables that candidates wait in. */
export async function createCandidates(on: Session, runId: string, plan: ResolvedPlan): Promise<void> {
  for (const { relation, candidates } of candidateTables(runId, plan))
    await createLike(on, qualified(candidates), flowsInto(plan, relation));
}

/** Empties the candidates of some target tables. */
export async function emptyCandidates(
  on: Queryable,
  runId: string,
  plan: ResolvedPlan,
  targets: ReadonlySet<string>,
): Promise<void> {
  for (const { relation, candidates } of candidateTables(runId, plan))
    if (targets.has(display(relation))) await on.query(`truncate ${qualified(candidates)}`);
}

/** Those that no row will come among any more: each refused one is loaded or given up, and no flow is cancelled, which may be taken up again. */
export async function settledCandidates(
  on: Queryable,
  runId: string,
  plan: ResolvedPlan,
): Promise<CandidateTable[]> {
  const { rows } = await on.query(
    `select distinct flow from rowfleet.quarantine where run_id = $1 and state in ('held', 'sent')`,
    [runId],
  );
  const open = new Set(rows.map(({ flow }: { flow: string }) => flow));
  const cancelled = await readCancelledFlows(on, runId);
  return candidateTables(runId, plan).filter(({ relation }) =>
    flowsInto(plan, relation).every((flow) => !open.has(leaderOf(flow)) && !cancelled.includes(flow.name)),
  );
}

/** The statement that removes the candidates of a target table. */
export const dropStatement = ({ candidates }: CandidateTable): string =>
  `drop table if exists ${qualified(candidates)}`;

/** The first target table of flows that are read together whose candidates were removed; undefined where none were. */
export async function findDropped(
  on: Queryable,
  runId: string,
  plan: ResolvedPlan,
  flows: ResolvedFlow[],
): Promise<RelationName | undefined> {
  const targets = new Set(flows.map(({ target }) => display(target)));
  for (const { relation, candidates } of candidateTables(runId, plan)) {
    if (!targets.has(display(relation))) continue;
    const { rows } = await on.query('select pg_catalog.to_regclass($1) is null as gone', [
      qualified(candidates),
    ]);
    if (rows[0].gone) return relation;
  }
  return undefined;
}

/** Statements that remove the candidates of a run. */
export const dropStatements = (runId: string, plan: ResolvedPlan): string[] =>
  candidateTables(runId, plan).map(dropStatement);
