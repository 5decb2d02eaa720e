import type pg from 'pg';
import type { PathSegment } from '../path.ts';
import type { ResolvedColumn, ResolvedFlow } from '../resolved-plan.ts';
import type { Describer } from '../sql/describe.ts';
import {
  batchSelect,
  blockRange,
  carried,
  carriedFor,
  isCutByKey,
  keyRange,
  selectRows,
} from '../statements/select.ts';
import type { ResolveContext } from './context.ts';
import { reportServerError } from './expressions.ts';

/** Reports a failure of the whole at the column that alone fails as well; at the flow when it takes several. */
async function reportAtColumn(
  ctx: ResolveContext,
  describer: Describer,
  flow: ResolvedFlow,
  whole: pg.DatabaseError,
  path: PathSegment[],
): Promise<void> {
  for (const column of flow.transform ? carried(flow) : flow.columns) {
    for (const { copyExpression, compareExpression } of carriedFor(column)) {
      for (const expression of [copyExpression, compareExpression]) {
        const statement = selectRows(flow, [`(${expression}\n)`]);
        const { error } = await describer.describe(statement);
        if (!error) continue;
        const text = column.expression;
        const sent = {
          place: 'column',
          text,
          frame: flow,
          statement,
          start: statement.indexOf(text),
        } as const;
        await reportServerError(ctx, error, [...path, 'columns', column.name], sent);
        return;
      }
    }
  }
  ctx.problems.error(
    path,
    `PostgreSQL says: ${whole.message}`,
    'Run the SELECT that --dry-run shows in psql.',
  );
}

const selectAll = (flow: ResolvedFlow, pick: (column: ResolvedColumn) => string): string =>
  selectRows(
    flow,
    carried(flow).map((column) => `(${pick(column)}\n)`),
  );

/** A statement of a batch, with a range in it. */
function oneBatch(flow: ResolvedFlow): string[] {
  if (isCutByKey(flow)) return [batchSelect(flow, keyRange(flow, { from: null, to: null }))];
  return flow.leaves.slice(0, 1).map((leaf) => batchSelect(flow, blockRange(leaf, 1, 2)));
}

/**
 * What the server makes of the statements that loaders and the validator will run, one with a range in it: whether
 * they are valid, how many columns they have, whether their tables may be read, and which those are.
 */
export async function proveStatements(
  ctx: ResolveContext,
  describer: Describer,
  flow: ResolvedFlow,
  path: PathSegment[],
): Promise<number[] | undefined> {
  const copied = selectAll(flow, (column) => column.copyExpression);
  const compared = selectAll(flow, (column) => column.compareExpression);
  const expected = carried(flow).length;
  const reads = new Set<number>();
  for (const statement of [copied, compared, ...oneBatch(flow)]) {
    const described = await describer.describe(statement);
    const explained = described.error ? described : await describer.explain(statement);
    if (explained.error) {
      await reportAtColumn(ctx, describer, flow, explained.error, path);
      return undefined;
    }
    const count = described.columns?.length;
    if (count !== expected) {
      const message = `its SELECT gives ${count} columns instead of ${expected}`;
      ctx.problems.error(path, message, 'Write one expression for each column.');
      return undefined;
    }
    for (const oid of 'reads' in explained ? (explained.reads ?? []) : []) reads.add(oid);
  }
  return [...reads];
}
