import { namingHolders } from '../constraints/lock-holders.ts';
import { sqlState } from '../pg/errors.ts';
import type { Session } from '../pg/session.ts';
import { sqlStates } from '../pg/sql-states.ts';
import { underSavepoint } from '../pg/transaction.ts';
import type { ResolvedTarget } from '../plan/resolved-plan.ts';
import { refuseReferring } from './referring.ts';
import { itself } from './target-rows.ts';

/** Runs one statement, or undoes it where it is refused with `code`. */
const tryStatement = (tx: Session, code: string, statement: string) =>
  underSavepoint(
    tx,
    (error) => sqlState(error) === code,
    () => tx.query(statement),
  );

/** Deletes the rows of tables that refer to each other by keys which stand: those that nobody refers to any more first. */
async function deleteRows(tx: Session, tables: ResolvedTarget[]): Promise<void> {
  for (let left = tables; left.length > 0; ) {
    const refused: ResolvedTarget[] = [];
    let refusal: unknown;
    for (const table of left) {
      const outcome = await tryStatement(tx, sqlStates.foreignKeyViolation, `delete from ${itself(table)}`);
      if (outcome.kind === 'done') continue;
      refusal = outcome.error;
      refused.push(table);
    }
    if (refused.length === left.length) throw refusal;
    left = refused;
  }
}

/**
 * Empties target tables in the caller's transaction, and nothing else: neither those that inherit from them nor those whose
 * rows refer to theirs. Throws LOCK_NOT_AVAILABLE, which says who holds one of them, and STILL_REFERRED.
 */
export function emptyTables(tx: Session, tables: ResolvedTarget[]): Promise<void> {
  const all = tables.map(itself).join(', ');
  return namingHolders(tx, tables, 'empty', async () => {
    // TRUNCATE takes no table that a foreign key refers to.
    const { kind } = await tryStatement(tx, sqlStates.featureNotSupported, `truncate ${all}`);
    if (kind === 'done') return;
    await tx.query(`lock table ${all} in exclusive mode`); // From now on nobody begins to refer.
    await refuseReferring(tx, tables);
    await deleteRows(tx, tables);
  });
}
