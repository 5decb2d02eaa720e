import { display } from '../pg/quote.ts';
import type { ResolvedFlow, ResolvedPlan } from './resolved-plan.ts';
import { leaderOf } from './statements/select.ts';

const fillsOneOf = ({ target }: ResolvedFlow, tables: ReadonlySet<string>): boolean =>
  tables.has(display(target));

const looksUpIn = ({ columns }: ResolvedFlow, tables: ReadonlySet<string>): boolean =>
  columns.some(({ lookup }) => lookup !== undefined && tables.has(display(lookup.relation)));

/**
 * The flows that begin again where some do, in the plan's order: with each all that fill its table, those read together with
 * it, and those that have looked up values in it, which need not be the same again. Id maps stay, and so does what was found in them.
 */
export function restarting({ flows }: Pick<ResolvedPlan, 'flows'>, names: string[]): ResolvedFlow[] {
  const leaders = new Set(flows.filter(({ name }) => names.includes(name)).map(leaderOf));
  for (let before = -1; before < leaders.size; ) {
    before = leaders.size;
    const going = flows.filter((flow) => leaders.has(leaderOf(flow)) && flow.idMap === undefined);
    const tables = new Set(going.map(({ target }) => display(target)));
    for (const flow of flows)
      if (fillsOneOf(flow, tables) || looksUpIn(flow, tables)) leaders.add(leaderOf(flow));
  }
  return flows.filter((flow) => leaders.has(leaderOf(flow)));
}
