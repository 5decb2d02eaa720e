import { display, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedPlan } from '../plan/resolved-plan.ts';
import { createLike, flowsInto, fusionInto } from '../plan/statements/fuse.ts';
import type { Queryable } from './ledger.ts';

/** The target tables of a plan whose rows are fused, each with the table of the ledger that its candidates wait in. */
export function candidateTables(
  runId: string,
  plan: ResolvedPlan,
): { relation: RelationName; candidates: RelationName }[] {
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

/** Statements that remove the candidates of a run. */
export const dropStatements = (runId: string, plan: ResolvedPlan): string[] =>
  candidateTables(runId, plan).map(({ candidates }) => `drop table if exists ${qualified(candidates)}`);
