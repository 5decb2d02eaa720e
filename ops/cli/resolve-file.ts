import { openSession, type Session } from '../../src/pg/session.ts';
import { applySchema, schemaIsMissing } from '../../src/plan/apply-schema.ts';
import { resolvePlan } from '../../src/plan/resolve.ts';
import type { ResolvedPlan } from '../../src/plan/types.ts';
import type { CommonOptions } from './command.ts';
import { judge, PlanError, type PlanFile } from './plan-file.ts';

/** What becomes of the plan's `schema:` files, where the target lacks their tables. The plan is resolved behind them. */
export type SchemaMode =
  /** Applied for good, if the plan resolves. */
  | 'keep'
  /** Applied to see the plan against them, then rolled back: nothing is written. */
  | 'try'
  /** Not applied: the target is taken as it is. */
  | 'skip';

async function resolveWith<T>(
  file: PlanFile,
  sessions: { source: Session; target: Session },
  options: CommonOptions,
  schema: SchemaMode,
  use: (resolved: ResolvedPlan, target: Session) => Promise<T>,
): Promise<T> {
  const { source, target } = sessions;
  await target.query('begin');
  let commit = false;
  try {
    if (schema !== 'skip' && (await schemaIsMissing(file.plan, target))) await applySchema(target, file.plan);
    else await target.query('set transaction read only');
    const { resolved, problems } = await resolvePlan(file.plan, source, target);
    judge(problems, options);
    if (resolved === undefined) throw new PlanError(problems);
    const result = await use(resolved, target);
    commit = schema === 'keep';
    return result;
  } finally {
    await target.query(commit ? 'commit' : 'rollback');
  }
}

/**
 * Holds a plan against both live databases and hands it, resolved, to `use`, within a target transaction that ends as
 * `schema` says. Throws a PlanError with all problems; prints warnings.
 */
export async function withResolvedPlan<T>(
  file: PlanFile,
  options: CommonOptions,
  schema: SchemaMode,
  use: (resolved: ResolvedPlan, target: Session) => Promise<T>,
): Promise<T> {
  const source = await openSession(file.source, 'rowfleet cli');
  try {
    const target = await openSession(file.target, 'rowfleet cli');
    try {
      return await resolveWith(file, { source, target }, options, schema, use);
    } finally {
      await target.end().catch(() => {});
    }
  } finally {
    await source.end().catch(() => {});
  }
}
