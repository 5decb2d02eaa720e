import { bound, type Session, withSession } from '../pg/session.ts';
import type { LeadContext } from './context.ts';

/**
 * Runs `fn` with a target session. Who leads no more, or leaves, waits for nothing: the session is cut, and what it was
 * about is rolled back.
 */
export function withTarget<T>(ctx: LeadContext, fn: (target: Session) => Promise<T>): Promise<T> {
  return withSession(ctx.target, (session) => bound(session, ctx.signal, () => fn(session)));
}
