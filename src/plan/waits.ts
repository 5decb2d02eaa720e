import { display } from '../pg/quote.ts';
import type { ResolvedFlow, ResolvedPlan } from './resolved-plan.ts';
import { leaderOf, readTogether } from './statements/select.ts';

type Flows = Pick<ResolvedPlan, 'flows'>;

/**
 * The flows that have to be copied before a flow, since its rows are looked up in what they fill: by the names of those that have
 * the batches.
 */
export function waitsFor(plan: Flows, flow: ResolvedFlow): string[] {
  const tables = readTogether(plan, flow).flatMap(({ columns }) =>
    columns.flatMap(({ lookup }) => (lookup === undefined ? [] : display(lookup.relation))),
  );
  // Which id maps a function asks is only known when it does.
  const asks = flow.transform !== undefined;
  const filling = plan.flows.filter(
    ({ target, idMap }) => tables.includes(display(target)) || (asks && idMap !== undefined),
  );
  return [...new Set(filling.map(leaderOf))];
}

/** Flows that wait for each other, in a circle that begins and ends with the same one; undefined where none do. */
export function findCircle(plan: Flows): string[] | undefined {
  const leaders = plan.flows.filter((flow) => leaderOf(flow) === flow.name);
  const next = new Map(leaders.map((flow) => [flow.name, waitsFor(plan, flow)]));
  const follow = (path: string[]): string[] | undefined => {
    for (const name of next.get(path.at(-1)!) ?? []) {
      const at = path.indexOf(name);
      const circle = at === -1 ? follow([...path, name]) : [...path.slice(at), name];
      if (circle) return circle;
    }
    next.delete(path.at(-1)!); // Nothing behind it leads back.
    return undefined;
  };
  for (const { name } of leaders) {
    const circle = follow([name]);
    if (circle) return circle;
  }
  return undefined;
}
