import { readKeys } from '../../catalog/columns.ts';
import { inOpenTransaction } from '../../catalog/server.ts';
import { display, literal, qualified } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import { inTransaction, setSearchPath } from '../../pg/transaction.ts';
import { Counting, type CountOptions } from '../count/counting.ts';
import { checkFilledTwice } from '../count/filled-twice.ts';
import { checkJoins } from '../count/join-rows.ts';
import { checkRefused } from '../count/refused-rows.ts';
import { checkSharedKeys } from '../count/shared-keys.ts';
import type { EndpointSpec, Plan, Settings } from '../plan.ts';
import type { PlanProblem } from '../problems.ts';
import { Problems } from '../problems.ts';
import type { ResolvedDatabase, ResolvedFlow, ResolvedPlan, ResolvedTarget } from '../resolved-plan.ts';
import { Describer } from '../sql/describe.ts';
import type { FilledBy, ResolveContext, Side } from './context.ts';
import { checkDatabases, readSide } from './databases.ts';
import { type FlowResult, resolveFlow } from './flow.ts';
import { resolveIdMaps } from './id-maps.ts';
import { resolveTables } from './tables.ts';
import { checkOrder, checkTogether, numberFused } from './together.ts';
import { checkWidths } from './widths.ts';

/** A plan held against both catalogs. `resolved` is missing when a problem is an error. */
export interface Resolution {
  resolved?: ResolvedPlan;
  problems: PlanProblem[];
}

/** The driving tables' keys; where leaves inherit rather than partition, the parent's key says nothing of the children. */
async function withDrivingKeys(ctx: ResolveContext, flows: ResolvedFlow[]): Promise<ResolvedFlow[]> {
  const keys = await readKeys(
    ctx.source.session,
    flows.map(({ driving }) => driving.oid),
  );
  return flows.map((flow) => {
    const inherits = flow.leaves.length > 1 && flow.leaves.some(({ oid }) => oid === flow.driving.oid);
    // A group is no driving row.
    const apart = inherits || flow.grouping?.kind === 'group';
    return { ...flow, drivingKey: apart ? [] : (keys.get(flow.driving.oid) ?? []) };
  });
}

/** Counts on the source what flows would do to their rows that the plan does not declare. */
async function checkRows(
  ctx: ResolveContext,
  describer: Describer,
  results: FlowResult[],
  { quarantineLimit }: Settings,
): Promise<void> {
  const counting = new Counting(describer, ctx.count);
  const keys = await readKeys(
    ctx.target.session,
    results.map(({ target }) => target.oid),
  );
  await checkJoins(ctx, counting, results);
  await checkSharedKeys(ctx, counting, results, keys);
  await checkRefused(ctx, counting, results, keys, quarantineLimit);
  await checkFilledTwice(ctx, counting, results);
}

async function resolveTargets(ctx: ResolveContext, results: FlowResult[]): Promise<ResolvedTarget[]> {
  // What is updated where it stands is in use: nothing is taken down or emptied.
  const filled = results.filter(({ flow }) => flow.backfill === undefined);
  const targets = new Map(filled.map(({ target }) => [target.oid, target]));
  const keys = await readKeys(ctx.target.session, [...targets.keys()]);
  return [...targets.values()].map(({ schema, name, oid, kind }) => ({
    schema,
    name,
    oid,
    only: kind !== 'p',
    key: keys.get(oid) ?? [],
  }));
}

/** Tables that hold rows; looked up a hundred at a time. */
async function findFilled(target: Session, tables: ResolvedTarget[]): Promise<Set<number>> {
  const found = new Set<number>();
  for (let from = 0; from < tables.length; from += 100) {
    const looks = tables
      .slice(from, from + 100)
      .map(
        (table) =>
          `select ${literal(String(table.oid))} as oid where exists (select from ${table.only ? 'only ' : ''}${qualified(table)})`,
      );
    const { rows } = await target.query<{ oid: string }>(looks.join(' union all '));
    for (const { oid } of rows) found.add(Number(oid));
  }
  return found;
}

async function checkEmpty(
  ctx: ResolveContext,
  plan: Plan,
  results: FlowResult[],
  targets: ResolvedTarget[],
): Promise<void> {
  const withRows = await findFilled(ctx.target.session, targets);
  if (withRows.size > 0 && plan.backupBeforeMigrate)
    ctx.problems.error(
      ['migration', 'backup_before_migrate'],
      'backup_before_migrate: true is not built yet, and the target holds rows',
      'Back the target up yourself and set it to false, or empty its tables.',
    );
  if (plan.allowNonEmpty) return;
  for (const oid of withRows) {
    const { target, path } = results.find((result) => result.target.oid === oid)!;
    const run = ctx.filledBy.get(display(target));
    if (run !== undefined)
      ctx.problems.error(
        path,
        `run ${run.id} of plan "${run.name}" is unfinished and fills ${display(target)} too`,
        `Finish or cancel that run first: rowfleet cancel ${run.id} empties what it has filled.`,
      );
    else
      ctx.problems.error(
        path,
        `${display(target)} holds rows in the target`,
        'Empty it, or set allow_non_empty: true to add to it.',
      );
  }
}

const databaseOf = (endpoint: EndpointSpec, { facts, identity, searchPath }: Side): ResolvedDatabase => ({
  endpoint,
  identity,
  version: facts.version,
  encoding: facts.encoding,
  searchPath,
});

async function resolveFlows(
  ctx: ResolveContext,
  describer: Describer,
  plan: Plan,
): Promise<{ idMaps: ResolvedFlow[]; results: FlowResult[] }> {
  const idMaps = await resolveIdMaps(ctx, describer, plan.idMaps);
  const results: FlowResult[] = [];
  for (const [i, spec] of plan.flows.entries()) {
    results.push(...(await resolveFlow(ctx, describer, spec, ['flows', i])));
  }
  return { idMaps, results };
}

async function resolveAgainst(ctx: ResolveContext, plan: Plan): Promise<ResolvedPlan> {
  const tables = await resolveTables(ctx, plan);
  // Before the savepoint: going back to it must not undo the path.
  await setSearchPath(ctx.source.session, ctx.source.searchPath);
  const describer = await Describer.begin(ctx.source.session);
  const { idMaps, results: mapped } = await resolveFlows(ctx, describer, plan);
  const results = numberFused([...tables, ...mapped]);
  checkTogether(ctx, results);
  const flows = [...idMaps, ...results.map(({ flow }) => flow)];
  checkOrder(ctx, results, flows);
  await checkWidths(ctx, results);
  await checkRows(ctx, describer, results, plan.settings);
  const targets = await resolveTargets(ctx, results);
  await checkEmpty(ctx, plan, results, targets);
  return {
    format: 1,
    name: plan.name,
    source: databaseOf(plan.source, ctx.source),
    target: databaseOf(plan.target, ctx.target),
    settings: plan.settings,
    flows: await withDrivingKeys(ctx, flows),
    targets,
    allowNonEmpty: plan.allowNonEmpty,
  };
}

/**
 * Holds a plan against both live catalogs; nothing is written, and plan text is described, never run. All that is
 * wrong comes in one answer. The source session must be idle; the target session may stand in a transaction of the
 * caller's, whose uncommitted tables count (`applySchema`).
 * @param filledBy runs that are not done with tables of the target, which are not to be emptied then
 * @param count how rows are counted on the source, and who is told of it
 */
export async function resolvePlan(
  plan: Plan,
  source: Session,
  target: Session,
  filledBy: FilledBy = new Map(),
  count: CountOptions = {},
): Promise<Resolution> {
  const problems = new Problems(plan);
  if (inOpenTransaction(source)) throw new Error('resolvePlan needs a source session without a transaction');
  const facts = await checkDatabases(source, target, problems);
  if (problems.hasErrors) return { problems: problems.sorted() };
  const resolved = await inTransaction(source, 'repeatable read, read only', async () => {
    const ctx: ResolveContext = {
      source: await readSide(source, facts.source),
      target: await readSide(target, facts.target),
      idMaps: new Map(),
      filledBy,
      count,
      problems,
      planFile: plan.file,
    };
    return resolveAgainst(ctx, plan);
  });
  return { ...(problems.hasErrors ? {} : { resolved }), problems: problems.sorted() };
}
