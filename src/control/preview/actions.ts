import { capture } from '../../constraints/capture.ts';
import { type ForeseenFinish, foreseeFinish } from '../../constraints/finish.ts';
import type { CapturedObject, KeptObject, RestorePhase } from '../../constraints/types.ts';
import type { Estimate } from '../../copy/estimate.ts';
import { candidateTables, dropStatements } from '../../ledger/candidates.ts';
import { idMapStatement } from '../../ledger/id-maps.ts';
import { display, qualified } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import { idMapsOf, idMapTable } from '../../plan/id-maps.ts';
import type { ResolvedPlan, ResolvedTarget } from '../../plan/resolved-plan.ts';
import { flowsInto, likeStatements } from '../../plan/statements/fuse.ts';
import { fusions } from '../../run/prepare.ts';
import { holdsRow, itself } from '../../run/target-rows.ts';
import { planChecks } from '../../validate/checks.ts';
import type { CheckSpec } from '../../validate/types.ts';
import { type FlowStatements, flowStatements, noRun } from './statements.ts';

/** A table of the ledger that rows wait in until they are fused. */
export interface CandidatesTable {
  /** Display name of the target table. */
  to: string;
  create: string[];
  drop: string;
}

/** What a run of a plan would execute, in the order in which it would. */
export interface Actions {
  /** Made when the run is begun, where they are not there; they stay. */
  idMaps: { name: string; create: string }[];
  /** Made in prepare. */
  candidates: CandidatesTable[];
  /** What is taken down in prepare and comes back: in the order in which it goes down, which is the reverse of that in which it comes back. */
  objects: CapturedObject[];
  /** What could have come down but stays up, and why. */
  kept: KeptObject[];
  flows: FlowStatements[];
  /** What takes the rows of an unfinished run out again; tables that hold rows already are left as they are. */
  empty: string[];
  /** Display names of the target tables that hold rows already, and of those whose rows are updated in place. */
  filled: string[];
  updated: string[];
  /** What puts candidates into their tables, before anything is built on these. */
  fusions: CapturedObject[];
  checks: CheckSpec[];
  finish: ForeseenFinish;
}

async function idMapsToMake(target: Session, plan: ResolvedPlan): Promise<Actions['idMaps']> {
  const maps: Actions['idMaps'] = [];
  for (const map of idMapsOf(plan)) {
    const { rows } = await target.query<{ there: boolean }>(
      `select pg_catalog.to_regclass($1) is not null as there`,
      [qualified(idMapTable(map.name))],
    );
    if (!rows[0]!.there) maps.push({ name: map.name, create: idMapStatement(map) });
  }
  return maps;
}

async function candidatesOf(target: Session, plan: ResolvedPlan): Promise<CandidatesTable[]> {
  const drops = dropStatements(noRun, plan);
  const tables: CandidatesTable[] = [];
  for (const [i, { relation, candidates }] of candidateTables(noRun, plan).entries()) {
    const create = await likeStatements(target, qualified(candidates), flowsInto(plan, relation));
    tables.push({ to: display(relation), create, drop: drops[i]! });
  }
  return tables;
}

const phases: RestorePhase[] = ['index', 'constrain', 'finish'];

/** The order of `readObjects`. */
const comingBack = (objects: CapturedObject[]): CapturedObject[] =>
  objects.toSorted((a, b) => phases.indexOf(a.phase) - phases.indexOf(b.phase) || a.order - b.order);

/** Describes what a run would execute. Only reads, in the transaction that `target` stands in. */
export async function describeActions(
  plan: ResolvedPlan,
  estimates: Estimate[],
  target: Session,
): Promise<Actions> {
  const { targets, settings } = plan;
  const { objects, kept } = await capture(target, targets);
  const filled: ResolvedTarget[] = [];
  for (const table of targets) if (await holdsRow(target, table)) filled.push(table);
  const emptied = targets.filter((table) => !filled.includes(table));
  return {
    idMaps: await idMapsToMake(target, plan),
    candidates: await candidatesOf(target, plan),
    objects: comingBack(objects).toReversed(),
    kept,
    flows: flowStatements(plan),
    empty: emptied.length === 0 ? [] : [`truncate ${emptied.map(itself).join(', ')}`],
    filled: filled.map(display),
    updated: plan.flows.filter(({ backfill }) => backfill !== undefined).map((flow) => display(flow.target)),
    fusions: fusions(noRun, plan, estimates),
    checks: planChecks(plan, settings.validationLevel, objects),
    finish: await foreseeFinish(target, plan),
  };
}
