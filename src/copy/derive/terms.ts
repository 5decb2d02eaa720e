import type { CapturedObject } from '../../constraints/types.ts';
import { display, ident, qualified, type RelationName } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import type { ResolvedFlow, ResolvedPlan } from '../../plan/resolved-plan.ts';
import type { Transforms } from '../../transform/transform.ts';

/** Both sessions are in open transactions: the source's with the plan's path, the target's with the target's. */
export interface DeriveContext {
  plan: ResolvedPlan;
  /** Without the driving rows that are not to be derived. */
  flow: ResolvedFlow;
  transforms: Transforms;
  source: Session;
  target: Session;
  signal: AbortSignal;
  onBytes: (bytes: number) => void;
  /** Rows that the target table held before the run. */
  rowsBefore: number;
  /** Foreign keys that the run has taken down and not brought back. */
  down: CapturedObject[];
  /** Rows of the flow that people wrote themselves, column → text: never deleted. Defaults to none. */
  kept?: Record<string, string | null>[];
}

/** What the scope yields, in the target's columns. */
export const stageTable: RelationName = { schema: 'pg_temp', name: 'rowfleet_stage' };
export const stage = qualified(stageTable);
/** `relation, place`: tableoid and ctid of target rows that the scope yields no more. */
export const vanished = 'pg_temp.rowfleet_vanished';

/** The flow's columns as a list, under an alias where one is given. */
export const names = (flow: ResolvedFlow, alias?: string): string =>
  flow.columns.map(({ name }) => `${alias === undefined ? '' : `${alias}.`}${ident(name)}`).join(', ');

/** The flow's columns under an alias, as a record: two bare rows would be compared column by column. */
export const record = (flow: ResolvedFlow, alias: string): string =>
  `row(${names(flow, alias)})::pg_catalog.record`;

/** The SQL of one derivation: `t` is the target, `s` the stage. */
export interface Terms {
  /** The target for reading and changing; an ordinary table without those that inherit from it. */
  table: string;
  sameKey: string;
  /** Compared as they are stored: 1.0 is not 1.00, and every type has this comparison. */
  differs: string;
}

/** The terms for a flow whose target rows are told apart by `key`. */
export function termsOf(plan: ResolvedPlan, flow: ResolvedFlow, key: string[]): Terms {
  const target = plan.targets.find((each) => display(each) === display(flow.target));
  return {
    table: `${target?.only === false ? '' : 'only '}${qualified(flow.target)}`,
    sameKey: key.map((name) => `t.${ident(name)} = s.${ident(name)}`).join(' and '),
    differs: `${record(flow, 't')} operator(pg_catalog.*<>) ${record(flow, 's')}`,
  };
}
