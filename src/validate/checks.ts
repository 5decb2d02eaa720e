import type { CapturedObject } from '../constraints/types.ts';
import { display, type RelationName } from '../pg/quote.ts';
import type { ValidationLevel } from '../plan/plan.ts';
import type { ResolvedPlan } from '../plan/resolved-plan.ts';
import { needsTarget } from './expected-rows.ts';
import type { CheckSpec } from './types.ts';

/** Whether a foreign key comes back without holding for the rows that are there, as it was. */
const comesBackUnproven = ({ bringBack }: CapturedObject): boolean =>
  bringBack.some((sql) => /\snot\s+(valid|enforced)\s*;?\s*$/i.test(sql));

function relationshipCheck(object: CapturedObject, incomplete: ReadonlySet<string>): CheckSpec[] {
  const { relation, name, foreignKey, uniqueKey } = object;
  if (object.takeDown.length === 0) return []; // It stayed up, and held throughout.
  if (uniqueKey !== undefined) return [{ check: 'duplicates', relation, name, uniqueKey }];
  if (foreignKey === undefined || foreignKey.period || comesBackUnproven(object)) return [];
  if (incomplete.has(display(foreignKey.references))) return [];
  return [{ check: 'orphans', relation, name, foreignKey }];
}

/**
 * The checks of a run. `basic`: accounting of each flow, count of each target table. `standard`: also the digest
 * of each target table, orphans of each foreign key and duplicates of each unique key that was taken down.
 * Tables in `incomplete` (display names) are not held against the source, nor foreign keys to them against their rows.
 * Left to the server: temporal keys (PERIOD). Not held against the rows: NOT VALID and NOT ENFORCED foreign keys.
 */
export function planChecks(
  plan: ResolvedPlan,
  level: ValidationLevel,
  captured: CapturedObject[],
  incomplete: ReadonlySet<string> = new Set(),
): CheckSpec[] {
  const targets = new Map<string, RelationName>();
  const copied = plan.flows.filter(({ backfill }) => backfill === undefined);
  const updated = plan.flows.filter(({ backfill }) => backfill !== undefined);
  for (const { target } of copied.filter((flow) => !incomplete.has(display(flow.target))))
    targets.set(display(target), { schema: target.schema, name: target.name });
  const relations = [...targets.values()];
  const idMaps = new Set(
    plan.flows.flatMap(({ idMap, target }) => (idMap === undefined ? [] : display(target))),
  );
  const basic: CheckSpec[] = [
    ...copied.map((flow): CheckSpec => ({ check: 'accounting', flow: flow.name })),
    ...updated.map((flow): CheckSpec => ({ check: 'backfill', flow: flow.name })),
    // An id map may hold keys of before. Where a digest has to bring the rows over it counts them, too.
    ...relations
      .filter((relation) => !idMaps.has(display(relation)))
      .filter((relation) => level === 'basic' || !needsTarget(plan, relation))
      .map((relation): CheckSpec => ({ check: 'count', relation })),
  ];
  if (level === 'basic') return basic;
  return [
    ...basic,
    ...relations.map((relation): CheckSpec => ({ check: 'digest', relation })),
    ...captured.flatMap((object) => relationshipCheck(object, incomplete)),
  ];
}
