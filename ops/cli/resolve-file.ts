import { readFilledTables } from '../../src/control/start.ts';
import { beforeAnything } from '../../src/pg/connection-error.ts';
import type { Endpoint } from '../../src/pg/endpoint.ts';
import { openSession, type Session } from '../../src/pg/session.ts';
import { type SchemaFileError, schemaIsMissing, tryApplySchema } from '../../src/plan/apply-schema.ts';
import type { CountOptions } from '../../src/plan/count/counting.ts';
import type { PlanProblem } from '../../src/plan/problems.ts';
import { resolvePlan } from '../../src/plan/resolve/resolve.ts';
import type { ResolvedPlan } from '../../src/plan/resolved-plan.ts';
import type { CommonOptions } from './command.ts';
import { judge, PlanError, type PlanFile } from './plan-file.ts';
import { writeWrapped } from './render/columns.ts';
import { printable } from './render/text.ts';

/** What becomes of the plan's `schema:` files, where the target lacks their tables. The plan is resolved behind them. */
export type SchemaMode =
  /** Applied for good, if the plan resolves. */
  | 'keep'
  /** Applied to see the plan against them, then rolled back: nothing is written. */
  | 'try'
  /** Not applied: the target is taken as it is. */
  | 'skip';

/** Why the schema files did not make what the plan lacks, among the plan's other problems. */
const problemOf = ({ file, line, fault }: SchemaFileError): PlanProblem => ({
  severity: 'error',
  at: { file, line, path: '' },
  message: `the schema files were not applied: ${fault}`,
  hint: 'They are, where a table of the plan is missing: mend its name, or apply by hand what they lack.',
});

/** What is held against both databases, and what became of it. */
type Resolve<R> = (source: Session, target: Session) => Promise<{ resolved?: R; problems: PlanProblem[] }>;

async function resolveWith<R, T>(
  file: PlanFile,
  sessions: { source: Session; target: Session },
  options: CommonOptions,
  schema: SchemaMode,
  resolve: Resolve<R>,
  use: (resolved: R, target: Session, source: Session) => Promise<T>,
): Promise<T> {
  const { source, target } = sessions;
  await target.query('begin');
  let commit = false;
  try {
    let notApplied: SchemaFileError | undefined;
    if (schema !== 'skip' && (await schemaIsMissing(file.plan, target)))
      notApplied = await tryApplySchema(target, file.plan);
    await target.query('set transaction read only'); // Whatever is called from here on.
    const { resolved, problems } = await resolve(source, target);
    judge(notApplied === undefined ? problems : [...problems, problemOf(notApplied)], options);
    if (resolved === undefined) throw new PlanError(problems);
    const result = await use(resolved, target, source);
    commit = schema === 'keep';
    return result;
  } finally {
    await target.query(commit ? 'commit' : 'rollback');
  }
}

/** A session for a command, on its source or target. What keeps it from being opened is a usage error: nothing was done yet. */
export const open = (endpoint: Endpoint, side: 'source' | 'target') =>
  openSession(endpoint, 'rowfleet cli').catch((error) => {
    const refused = beforeAnything(error);
    if (refused instanceof Error)
      refused.message = refused.message.replace(/^cannot connect to /, `$&the ${side} `);
    throw refused;
  });

/**
 * Holds something of a plan against both live databases and hands it, resolved, to `use`, within a target transaction that
 * ends as `schema` says. Throws a PlanError with all problems; prints warnings.
 */
export async function withResolved<R, T>(
  file: PlanFile,
  options: CommonOptions,
  schema: SchemaMode,
  resolve: Resolve<R>,
  use: (resolved: R, target: Session, source: Session) => Promise<T>,
): Promise<T> {
  const source = await open(file.source, 'source');
  try {
    const target = await open(file.target, 'target');
    try {
      return await resolveWith(file, { source, target }, options, schema, resolve, use);
    } finally {
      await target.end().catch(() => {});
    }
  } finally {
    await source.end().catch(() => {});
  }
}

/** How long counting takes before a person wonders. */
const wonderMs = 2_000;

/** Says on a terminal what rows are counted for, where that takes long. */
function sayCounting({ json }: CommonOptions): { onBegin?: CountOptions['onBegin']; end: () => void } {
  if (json === true || !process.stderr.isTTY) return { end: () => {} };
  let timer: NodeJS.Timeout | undefined;
  const end = () => clearTimeout(timer);
  const onBegin = (what: string, seconds: number) => {
    end();
    const said = `counting on the source, for ${seconds} s at most: ${printable(what)}`;
    timer = setTimeout(() => writeWrapped(process.stderr, [said]), wonderMs);
  };
  return { onBegin, end };
}

/** The same for the whole plan. */
export function withResolvedPlan<T>(
  file: PlanFile,
  options: CommonOptions,
  schema: SchemaMode,
  use: (resolved: ResolvedPlan, target: Session, source: Session) => Promise<T>,
  count: CountOptions = {},
): Promise<T> {
  const { end, ...said } = sayCounting(options);
  const resolve: Resolve<ResolvedPlan> = async (source, target) =>
    resolvePlan(file.plan, source, target, await readFilledTables(target), { ...said, ...count }).finally(
      end,
    );
  return withResolved(file, options, schema, resolve, use);
}
