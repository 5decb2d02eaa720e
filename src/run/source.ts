import { requireDatabase } from '../catalog/server.ts';
import { openSession, type Session } from '../pg/session.ts';
import type { RunContext } from './context.ts';

/** Opens a session on a run's source, if that is the one that the plan was checked against. The caller ends it. */
export async function openSource(ctx: RunContext, applicationName: string) {
  const session = await openSession(ctx.source, applicationName);
  try {
    await requireDatabase(session, ctx.run.plan.source.identity, ctx.source.label);
    return session;
  } catch (error) {
    await session.end().catch(() => {});
    throw error;
  }
}

/** Runs `fn` with a source session and ends it. */
export async function withSource<T>(ctx: RunContext, fn: (source: Session) => Promise<T>): Promise<T> {
  const session = await openSource(ctx, 'rowfleet scheduler');
  try {
    return await fn(session);
  } finally {
    await session.end().catch(() => {});
  }
}
