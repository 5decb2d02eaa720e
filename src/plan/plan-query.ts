import type pg from 'pg';
import type { Session } from '../pg/session.ts';

/** Runs SQL with plan text in it through the extended protocol, which takes one statement only. */
export function planQuery<R extends pg.QueryResultRow>(
  session: Session,
  sql: string,
): Promise<pg.QueryResult<R>> {
  const config: pg.QueryConfig & { queryMode: 'extended' } = { text: sql, queryMode: 'extended' };
  return session.query<R>(config);
}
