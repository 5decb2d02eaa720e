import type { CapturedObject } from '../constraints/types.ts';
import type { FlowRow } from '../ledger/flows.ts';
import { display } from '../pg/quote.ts';

/** Display names of the tables that a cancelled flow was to fill: rows of them are missing. */
export function incompleteTables(flows: FlowRow[]): ReadonlySet<string> {
  return new Set(flows.filter(({ cancelled }) => cancelled).map(({ target }) => target));
}

/**
 * Whether an object must not come back as long as rows are missing: triggers and foreign keys of an incomplete table,
 * since its rows may still come, and foreign keys to one.
 */
export function staysDown(object: CapturedObject, incomplete: ReadonlySet<string>): boolean {
  if (object.phase !== 'constrain') return false;
  const { foreignKey, loadedTable, relation } = object;
  return (
    incomplete.has(display(loadedTable ?? relation)) ||
    (foreignKey !== undefined && incomplete.has(display(foreignKey.references)))
  );
}
