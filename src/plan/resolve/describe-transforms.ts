import type { Session } from '../../pg/session.ts';
import { inTransaction, setSearchPath } from '../../pg/transaction.ts';
import type { TransformSpec } from '../../transform/types.ts';
import type { Plan } from '../plan.ts';
import type { PlanProblem } from '../problems.ts';
import { Problems } from '../problems.ts';
import { Describer } from '../sql/describe.ts';
import { findTable } from '../sql/names.ts';
import type { ResolveContext } from './context.ts';
import { checkDatabases, readSide } from './databases.ts';
import { resolveDriving } from './driving.ts';
import { reportMissing } from './relations.ts';
import { resolveTransformColumns, type TransformColumns } from './transform.ts';

/** A flow's transform as far as both catalogs tell of it; its code need not be there yet. */
export interface DescribedTransform extends TransformColumns, TransformSpec {
  flow: string;
}

async function describeAll(ctx: ResolveContext, plan: Plan): Promise<DescribedTransform[]> {
  await setSearchPath(ctx.source.session, ctx.source.searchPath);
  const describer = await Describer.begin(ctx.source.session);
  const described: DescribedTransform[] = [];
  for (const [i, spec] of plan.flows.entries()) {
    for (const output of spec.outputs.filter(({ transform }) => transform !== undefined)) {
      const path = ['flows', i];
      const driving = await resolveDriving(ctx, describer, spec, path);
      const found = findTable(ctx.target.relations, ctx.target.searchPath, output.to);
      reportMissing(ctx, 'target', [...path, 'to'], output.to, found);
      const columns =
        driving &&
        found.relation &&
        (await resolveTransformColumns(ctx, describer, driving, found.relation, output, path));
      if (columns) described.push({ flow: output.name, ...output.transform!, ...columns });
    }
  }
  return described;
}

/**
 * Holds the transforms of a plan, and nothing else of it, against both live catalogs. The source session must be idle; the
 * target session may stand in a transaction of the caller's.
 */
export async function describeTransforms(
  plan: Plan,
  source: Session,
  target: Session,
): Promise<{ resolved?: DescribedTransform[]; problems: PlanProblem[] }> {
  const problems = new Problems(plan);
  const facts = await checkDatabases(source, target, problems);
  if (problems.hasErrors) return { problems: problems.sorted() };
  const resolved = await inTransaction(source, 'repeatable read, read only', async () => {
    const ctx: ResolveContext = {
      source: await readSide(source, facts.source),
      idMaps: new Map(),
      filledBy: new Map(),
      count: {},
      target: await readSide(target, facts.target),
      problems,
      planFile: plan.file,
    };
    return describeAll(ctx, plan);
  });
  return { ...(problems.hasErrors ? {} : { resolved }), problems: problems.sorted() };
}
