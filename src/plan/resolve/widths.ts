import { readColumns } from '../../catalog/columns.ts';
import { display } from '../../pg/quote.ts';
import { amount } from '../problems.ts';
import { carried, leaderOf, ordering } from '../statements/select.ts';
import { needsStage } from '../statements/stage.ts';
import type { ResolveContext } from './context.ts';
import type { FlowResult } from './flow.ts';

/** PostgreSQL's own limits: what a SELECT may list, and the columns of a table. */
const mostListed = 1664;
const mostColumns = 1600;

/** Flows of one read, in a SELECT that lists the columns of all, and for each with a condition of its own whether the row is for it. */
function checkRead(ctx: ResolveContext, together: FlowResult[]): void {
  const listed = together.reduce(
    (sum, { flow }) => sum + carried(flow).length + (flow.readWith?.own ? 1 : 0),
    0,
  );
  if (listed <= mostListed) return;
  ctx.problems.error(
    [...together[0]!.path.slice(0, 2), 'outputs'],
    `its outputs have ${amount(listed)} columns in all, and PostgreSQL reads ${amount(mostListed)} at once`,
    'Make some of them a flow of their own.',
  );
}

/** Tables of rowfleet's own in which rows wait: a stage has a column for each key, candidates those of the target and of the order. */
async function checkWaiting(ctx: ResolveContext, results: FlowResult[]): Promise<void> {
  const targets = await readColumns(
    ctx.target.session,
    results.flatMap(({ flow, target }) => (flow.fusion ? [target.oid] : [])),
  );
  for (const { flow, target, path } of results) {
    const stage = needsStage(flow) ? carried(flow).length : 0;
    const candidates = flow.fusion ? (targets.get(target.oid) ?? []).length + ordering(flow).length : 0;
    const most = Math.max(stage, candidates);
    if (most > mostColumns)
      ctx.problems.error(
        path,
        `its rows wait in a table of ${amount(most)} columns before they get into ${display(target)}, and PostgreSQL has ${amount(mostColumns)} at most`,
        candidates === most
          ? 'Let its order have fewer expressions, or keep rows with one key out with where.'
          : 'Look fewer values up, or join them in the source.',
      );
  }
}

/** Reports flows that are wider on their way than PostgreSQL allows, though their tables are not. */
export async function checkWidths(ctx: ResolveContext, results: FlowResult[]): Promise<void> {
  for (const { flow: leader } of results.filter(({ flow }) => leaderOf(flow) === flow.name))
    checkRead(
      ctx,
      results.filter(({ flow }) => leaderOf(flow) === leader.name),
    );
  await checkWaiting(ctx, results);
}
