import { readKeys } from '../../catalog/columns.ts';
import type { Relation } from '../../catalog/relations.ts';
import { display, qualified } from '../../pg/quote.ts';
import { sqlStates } from '../../pg/sql-states.ts';
import type { PathSegment } from '../path.ts';
import type { OutputSpec } from '../plan.ts';
import type { ResolvedFlow } from '../resolved-plan.ts';
import type { Describer } from '../sql/describe.ts';
import { backfillLock, backfillStatement } from '../statements/backfill.ts';
import { type Frame, keyRange } from '../statements/select.ts';
import type { ResolveContext } from './context.ts';

/** Whether an output updates the rows of its own driving table: source and target are one database, and both are one table. */
export const isBackfill = ({ source, target }: ResolveContext, driving: Relation, into: Relation): boolean =>
  source.facts.identity === target.facts.identity && driving.oid === into.oid;

/** What an output of a flow that updates its own rows may not have, with the mend. */
function misfit(
  output: OutputSpec,
  { grouping }: Frame,
): [key: string, message: string, hint: string] | undefined {
  if (output.path.length > 0)
    return ['to', 'it updates its own driving table, beside other outputs', 'Give it a flow of its own.'];
  if (grouping !== undefined)
    return [
      grouping.kind === 'group' ? 'group_by' : 'window_by',
      'it updates its own driving table row by row',
      'Compute it in a sub-select under join: left join lateral (select … from …) x on true.',
    ];
  if (output.conflict !== undefined)
    return ['on_conflict', 'rows that are updated where they stand do not meet', 'Leave it out.'];
  if (output.transform !== undefined)
    return [
      'transform',
      'it updates its own driving table, by one statement of SQL a batch',
      'Let the function fill another table, and update from that.',
    ];
  const lookup = Object.entries(output.columns).find(([, value]) => typeof value !== 'string');
  if (lookup !== undefined)
    return [
      `columns.${lookup[0]}`,
      'source and target are one database: there is nothing to look up',
      'Join the table instead.',
    ];
  return undefined;
}

/** How the rows of an in-place backfill are found. Undefined when something is wrong with it, which is reported. */
export async function resolveBackfill(
  ctx: ResolveContext,
  { relation, frame }: { relation: Relation; frame: Frame },
  output: OutputSpec,
  path: PathSegment[],
): Promise<ResolvedFlow['backfill']> {
  const wrong = misfit(output, frame);
  if (wrong) {
    const [key, message, hint] = wrong;
    ctx.problems.error([...path, ...key.split('.')], message, hint);
    return undefined;
  }
  const key = (await readKeys(ctx.target.session, [relation.oid])).get(relation.oid);
  if (key === undefined) {
    const message = `${display(relation)} has no key to find its rows by while they are updated`;
    ctx.problems.error(
      [...path, 'to'],
      message,
      'Add a primary key, or a unique index over columns that are NOT NULL.',
    );
    return undefined;
  }
  const filled = key.find((name) => name in output.columns);
  if (filled !== undefined) {
    const message = `${filled} is part of the key that rows are found by`;
    ctx.problems.error([...path, 'columns', filled], message, 'Leave it out.');
    return undefined;
  }
  return { key };
}

/** Whether the server takes what a batch of an in-place backfill sends, and the role may do it. What it refuses is reported. */
export async function proveBackfill(
  ctx: ResolveContext,
  describer: Describer,
  flow: ResolvedFlow,
  path: PathSegment[],
): Promise<boolean> {
  const range = keyRange(flow, { from: null, to: null });
  for (const statement of [backfillLock(flow, range), backfillStatement(flow, range)]) {
    const { error } = await describer.explain(statement);
    if (error === undefined) continue;
    const forbidden = error.code === sqlStates.insufficientPrivilege;
    ctx.problems.error(
      [...path, 'to'],
      `the rows of ${display(flow.target)} cannot be updated where they stand. PostgreSQL says: ${error.message}`,
      forbidden
        ? `grant select, update on ${qualified(flow.target)} to ${ctx.target.facts.role}.`
        : 'Run the UPDATE that --dry-run shows in psql; of joins, only left and inner ones go with it.',
    );
    return false;
  }
  return true;
}
