import type { TargetRow } from '../ledger/read-quarantine.ts';
import { display, ident, literal, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { selectRows } from '../plan/select.ts';
import type { ResolvedFlow, ResolvedPlan } from '../plan/types.ts';
import { constantDefaults } from './constant-defaults.ts';
import type { DigestSide } from './digest-sql.ts';
import { selectEdited } from './edited-rows.ts';
import { type HashedColumn, hashedAsOwnType } from './row-hash.ts';
import { fromTarget } from './target-rows.ts';

/** Both sides of a target table's digest. */
export interface Comparison {
  source: DigestSide;
  target: DigestSide;
  /** Columns that only some flows fill and whose default is no constant: what they should hold is not known. */
  notCompared: string[];
}

/** The flows that fill a target table, in the plan's order. */
export const flowsInto = (plan: ResolvedPlan, relation: RelationName): ResolvedFlow[] =>
  plan.flows.filter((flow) => display(flow.target) === display(relation));

/** The columns that any of the flows fills; text wins where flows differ in how a column is hashed. */
function filledColumns(flows: ResolvedFlow[]): HashedColumn[] {
  const columns = new Map<string, HashedColumn>();
  for (const { name, targetType, digest } of flows.flatMap((flow) => flow.columns)) {
    const known = columns.get(name);
    if (known === undefined || digest === 'text') columns.set(name, { name, targetType, method: digest });
  }
  return [...columns.values()];
}

const fills = (flow: ResolvedFlow, name: string): boolean =>
  flow.columns.some((column) => column.name === name);

/** What a flow should put into a column, as SQL on the source. */
function expectedValue(
  flow: ResolvedFlow,
  column: HashedColumn,
  defaults: Map<string, string | null>,
): string {
  const filled = flow.columns.find(({ name }) => name === column.name);
  if (filled !== undefined) return `(${filled.compareExpression}\n)`;
  const value = defaults.get(column.name) ?? null;
  return `${value === null ? 'null' : literal(value)}::${hashedAsOwnType(column) ? column.targetType : 'pg_catalog.text'}`;
}

const named = (values: string[]): string[] => values.map((value, i) => `${value} as c${i + 1}`);

/**
 * What a target table should hold, by the mapping over whole driving tables, and what it holds. Compared are the
 * columns that a flow fills; what others leave to a constant default is expected to be that.
 * @param edited flow → rows that people put in place of what the mapping yields
 */
export async function compareTarget(
  plan: ResolvedPlan,
  relation: RelationName,
  sides: { source: Session; target: Session },
  edited: Record<string, TargetRow[]> = {},
): Promise<Comparison> {
  const { target } = sides;
  const flows = flowsInto(plan, relation);
  const filled = filledColumns(flows);
  const partly = filled
    .filter(({ name }) => !flows.every((flow) => fills(flow, name)))
    .map(({ name }) => name);
  const defaults = partly.length === 0 ? new Map() : await constantDefaults(target, relation, partly);
  const notCompared = partly.filter((name) => !defaults.has(name));
  const columns = filled.filter(({ name }) => !notCompared.includes(name));

  const keyNames = plan.targets.find((candidate) => display(candidate) === display(relation))?.key ?? [];
  const positions = keyNames.map((name) => columns.findIndex((column) => column.name === name));
  const side = {
    columns,
    key: positions.includes(-1) ? [] : positions,
    transcode: plan.source.encoding !== plan.target.encoding,
  };
  const sourceRows = (flow: ResolvedFlow): string =>
    selectRows(flow, named(columns.map((column) => expectedValue(flow, column, defaults))));
  const source = flows.map(sourceRows);
  for (const flow of flows) {
    const rows = edited[flow.name] ?? [];
    const other = (column: HashedColumn) => expectedValue({ ...flow, columns: [] }, column, defaults);
    if (rows.length > 0) source.push(await selectEdited(sides, flow, rows, columns, other));
  }
  const held = named(columns.map(({ name }) => `t.${ident(name)}`)).join(', ');
  return {
    source: { ...side, rows: source },
    target: { ...side, rows: [`select ${held} ${await fromTarget(target, relation)}`] },
    notCompared,
  };
}
