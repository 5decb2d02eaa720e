import { readWorkForce, type WorkerKind, waitsForKind } from '../ledger/workers.ts';
import type { RunContext } from './context.ts';

/** How many tasks the live workers of a kind can do at once; without any, or where none can claim, that is what the run waits for. */
export async function waitForWorkers(ctx: RunContext, kind: WorkerKind): Promise<number> {
  const { slots, trouble } = await readWorkForce(ctx.ledger, kind, ctx.run.id);
  if (slots === 0) ctx.waiting = waitsForKind(kind);
  else if (trouble !== null) ctx.waiting ??= `no ${kind} can take up work; ${trouble}`;
  return slots;
}
