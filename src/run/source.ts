import { requireDatabase } from '../catalog/server.ts';
import { endSession, openSession, type Session } from '../pg/session.ts';
import type { RunContext } from './context.ts';

/** What the scheduler asks a source is answered at once; after this long the way to it is gone. */
const answerWithinMs = 60_000;

/** Opens a session on a run's source, if that is the one that the plan was checked against. The caller ends it. */
export async function openSource(ctx: RunContext, applicationName: string) {
  const session = await openSession(ctx.source, applicationName, { queryTimeoutMs: answerWithinMs });
  try {
    await requireDatabase(session, ctx.run.plan.source.identity, ctx.source.label);
    return session;
  } catch (error) {
    await endSession(session);
    throw error;
  }
}

/** Runs `fn` with a source session and ends it. */
export async function withSource<T>(ctx: RunContext, fn: (source: Session) => Promise<T>): Promise<T> {
  const session = await openSource(ctx, 'rowfleet scheduler');
  try {
    return await fn(session);
  } finally {
    await endSession(session);
  }
}
