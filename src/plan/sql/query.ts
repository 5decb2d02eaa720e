import pg from 'pg';
import { markAmongRows } from '../../pg/errors.ts';
import type { Session } from '../../pg/session.ts';

/**
 * Runs SQL with plan text or people's values in it through the extended protocol, which takes one statement only. What
 * fails once the server has accepted the statement is marked as the fault of rows (`markAmongRows`).
 */
export function planQuery<R extends pg.QueryResultRow>(
  session: Session,
  sql: string,
  values: unknown[] = [],
): Promise<pg.QueryResult<R>> {
  const config: pg.QueryConfig & { queryMode: 'extended' } = { text: sql, values, queryMode: 'extended' };
  let accepted = false;
  const onAccepted = () => {
    accepted = true;
  };
  let wire: pg.Connection | undefined;
  return new Promise((resolve, reject) => {
    const query = new pg.Query<R>(config, (error, result) => {
      wire?.off('parseComplete', onAccepted);
      if (error) reject(accepted ? markAmongRows(error) : error);
      else resolve(result as unknown as pg.QueryResult<R>);
    });
    const submit = query.submit.bind(query);
    // Called when its turn has come: what the server accepts next is this one.
    query.submit = (connection) => {
      wire = connection.once('parseComplete', onAccepted);
      return submit(connection);
    };
    session.query(query);
  });
}
