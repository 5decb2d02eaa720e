import { display, ident, literal, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';
import { flowsInto, fusionInto } from '../plan/statements/fuse.ts';
import { selectRows } from '../plan/statements/select.ts';
import type { CheckContext } from './check-context.ts';
import { constantDefaults } from './constant-defaults.ts';
import type { DigestSide } from './digest-sql.ts';
import { selectEdited } from './edited-rows.ts';
import { fillExpected, needsTarget } from './expected-rows.ts';
import { type HashedColumn, hashedAsOwnType } from './row-hash.ts';
import { fromTarget } from './target-rows.ts';

/** Both sides of a target table's digest. */
export interface Comparison {
  /** What the table should hold, and the session that this is read on. */
  source: DigestSide;
  expecting: Session;
  target: DigestSide;
  /** Columns that only some flows fill and whose default is no constant: what they should hold is not known. */
  notCompared: string[];
}

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
 */
export async function compareTarget(ctx: CheckContext, relation: RelationName): Promise<Comparison> {
  const { plan, target, edited = {} } = ctx;
  const flows = flowsInto(plan, relation);
  const filled = filledColumns(flows);
  // Rows that are put together of several have no defaults.
  const whole = fusionInto(plan, relation)?.rule !== 'merge';
  const partly = filled
    .filter(({ name }) => whole && !flows.every((flow) => fills(flow, name)))
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
  const inTarget = needsTarget(plan, relation);
  const expecting = inTarget ? target : ctx.source;
  const held = (alias: string) => named(columns.map(({ name }) => `${alias}.${ident(name)}`)).join(', ');
  const sourceRows = (flow: ResolvedFlow): string =>
    selectRows(flow, named(columns.map((column) => expectedValue(flow, column, defaults))));
  const source = inTarget
    ? [`select ${held('e')} from ${await fillExpected(ctx, relation)} as e`]
    : flows.map(sourceRows);
  for (const flow of flows) {
    const rows = edited[flow.name] ?? [];
    const other = (column: HashedColumn) => expectedValue({ ...flow, columns: [] }, column, defaults);
    if (rows.length > 0)
      source.push(await selectEdited({ source: expecting, target }, flow, rows, columns, other));
  }
  return {
    expecting,
    source: { ...side, rows: source },
    target: { ...side, rows: [`select ${held('t')} ${await fromTarget(target, relation)}`] },
    notCompared,
  };
}
