import { lockHolders, lockTimeoutStatement } from '../constraints/lock-holders.ts';
import { RowfleetError } from '../errors.ts';
import { sqlState } from '../pg/errors.ts';
import { display, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';

const lockNotAvailable = '55P03';
const stillReferred = '0A000'; // feature not supported: TRUNCATE of a table that a foreign key refers to
const foreignKeyViolation = '23503';

/** Milliseconds in a lock queue, where everybody else waits behind us; then the caller tries again. */
const lockTimeoutMs = 2_000;

/** Runs `fn` under a savepoint; returns its error, with everything of it undone, where that is one of `codes`. */
async function attempt(tx: Session, codes: string[], fn: () => Promise<unknown>): Promise<unknown> {
  await tx.query('savepoint rowfleet_empty');
  try {
    await fn();
    await tx.query('release savepoint rowfleet_empty');
    return undefined;
  } catch (error) {
    if (!codes.includes(sqlState(error) ?? '')) throw error;
    await tx.query('rollback to savepoint rowfleet_empty; release savepoint rowfleet_empty');
    return error;
  }
}

/** Deletes the rows of tables that refer to each other by keys which stand: those that nobody refers to any more first. */
async function deleteRows(tx: Session, tables: RelationName[]): Promise<void> {
  for (let left = tables; left.length > 0; ) {
    const refused: RelationName[] = [];
    let refusal: unknown;
    for (const table of left) {
      const error = await attempt(tx, [foreignKeyViolation], () =>
        tx.query(`delete from ${qualified(table)}`),
      );
      if (error === undefined) continue;
      refusal = error;
      refused.push(table);
    }
    if (refused.length === left.length) throw refusal;
    left = refused;
  }
}

/** Empties tables in the caller's transaction. Throws LOCK_NOT_AVAILABLE, which says who holds one of them. */
export async function emptyTables(tx: Session, tables: RelationName[]): Promise<void> {
  await tx.query(lockTimeoutStatement(lockTimeoutMs));
  const refusal = await attempt(tx, [lockNotAvailable, stillReferred], () =>
    tx.query(`truncate ${tables.map(qualified).join(', ')}`),
  );
  if (refusal === undefined) return;
  if (sqlState(refusal) === stillReferred) return deleteRows(tx, tables);
  const holders = await lockHolders(tx, tables);
  throw new RowfleetError(
    'LOCK_NOT_AVAILABLE',
    `waiting for a lock, to empty ${tables.map(display).join(', ')}${holders && `, held by ${holders}`}`,
    { cause: refusal, hint: 'end or finish the sessions that hold the tables' },
  );
}
