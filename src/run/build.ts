import { finishObjects } from '../constraints/finish.ts';
import type { CapturedObject, RestorePhase } from '../constraints/types.ts';
import { dropStatement, settledCandidates } from '../ledger/candidates.ts';
import { type FlowRow, readFlows } from '../ledger/flows.ts';
import { insertObjects, type ObjectRow, readObjects } from '../ledger/objects.ts';
import { areBatchesDone, insertTask, readBuilds } from '../ledger/tasks.ts';
import { display } from '../pg/quote.ts';
import type { PhaseResult, RunContext } from './context.ts';
import { incompleteTables, staysDown } from './incomplete.ts';
import { asDriver } from './lead.ts';
import { withSource } from './source.ts';
import { withTarget } from './target.ts';
import { waitForWorkers } from './workers.ts';

/** Objects of one list, the lowest ordinal first, that may be built now: all of lower ordinals have been. */
function dueObjects(objects: ObjectRow[], builds: Map<string, string>): ObjectRow[] {
  const unbuilt = objects.filter((object) => object.state !== 'back' && builds.get(object.id) !== 'done');
  const lowest = Math.min(...unbuilt.map((object) => object.ordinal));
  return unbuilt.filter((object) => object.ordinal === lowest && !builds.has(object.id));
}

/** The plan's table whose last batch an object waits for; an index on a partition waits for the whole. */
const loadedTable = ({ captured }: ObjectRow): string => display(captured.loadedTable ?? captured.relation);

const isBuilt = (object: ObjectRow, builds: Map<string, string>): boolean =>
  object.state === 'back' || builds.get(object.id) === 'done';

async function insertBuilds(ctx: RunContext, objects: ObjectRow[]): Promise<void> {
  if (objects.length === 0) return;
  ctx.busy = true;
  await asDriver(ctx, async (tx) => {
    for (const { id, relation } of objects)
      await insertTask(tx, ctx.run.id, 'build', relation, { object: id });
  });
}

/** Lets the indexes of every table whose last batch is in be built. Tells whether all are. */
export async function buildIndexes(ctx: RunContext, flows: FlowRow[]): Promise<boolean> {
  const objects = (await readObjects(ctx.ledger, ctx.run.id)).filter((object) => object.phase === 'index');
  const builds = await readBuilds(ctx.ledger, ctx.run.id);
  const tables = new Set(objects.map(loadedTable));
  for (const table of tables) {
    const own = objects.filter((object) => loadedTable(object) === table);
    const filling = flows.filter((flow) => flow.target === table);
    if (
      own.every((object) => isBuilt(object, builds)) ||
      filling.some((flow) => !flow.cutDone && !flow.cancelled)
    )
      continue;
    if (
      await areBatchesDone(
        ctx.ledger,
        ctx.run.id,
        filling.map(({ name, readWith }) => readWith ?? name),
      )
    ) {
      await insertBuilds(ctx, dueObjects(own, builds));
    }
  }
  return objects.every((object) => isBuilt(object, builds));
}

/** Display names of the tables that lack something which follows their last batch. */
export async function readUnbuilt(ctx: RunContext): Promise<ReadonlySet<string>> {
  const builds = await readBuilds(ctx.ledger, ctx.run.id);
  const objects = (await readObjects(ctx.ledger, ctx.run.id)).filter(({ phase }) => phase === 'index');
  return new Set(objects.filter((object) => !isBuilt(object, builds)).map(loadedTable));
}

/** Builds a whole phase, ordinal by ordinal. */
export async function buildPhase(ctx: RunContext, phase: RestorePhase): Promise<PhaseResult> {
  const incomplete = incompleteTables(await readFlows(ctx.ledger, ctx.run.id));
  const objects = (await readObjects(ctx.ledger, ctx.run.id)).filter(
    (object) => object.phase === phase && !staysDown(object.captured, incomplete),
  );
  const builds = await readBuilds(ctx.ledger, ctx.run.id);
  if (objects.every((object) => isBuilt(object, builds))) return 'next';
  await insertBuilds(ctx, dueObjects(objects, builds));
  await waitForWorkers(ctx, 'loader');
  return 'stay';
}

/** Candidates were kept until they had been proven, and are for as long as more may come. */
async function dropCandidates({ ledger, run: { id, plan } }: RunContext): Promise<CapturedObject[]> {
  return (await settledCandidates(ledger, id, plan)).map((table) => ({
    ...{ kind: 'fusion', relation: table.relation, name: table.candidates.name },
    ...{ phase: 'finish', order: 1, takeDown: [], bringBack: [dropStatement(table)] },
  }));
}

/** Writes down the finishing steps, once, from what source and target hold now. */
export async function planFinish(ctx: RunContext): Promise<void> {
  const { id, plan } = ctx.run;
  if ((await readObjects(ctx.ledger, id)).some((object) => object.phase === 'finish')) return;
  const steps = await withSource(ctx, (source) =>
    withTarget(ctx, (target) => finishObjects(source, target, plan)),
  );
  const drops = await dropCandidates(ctx);
  await asDriver(ctx, (tx) => insertObjects(tx, id, [...steps, ...drops]));
}
