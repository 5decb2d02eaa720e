import { markAmongRows } from './errors.ts';
import { ident, literal } from './quote.ts';
import { pins, type Session } from './session.ts';

/** How a transaction begins. `repeatable read, read only` is what every source transaction uses. */
export type TransactionMode = 'read committed' | 'repeatable read, read only' | 'read committed, read only';

export interface TransactionOptions {
  /** An exported snapshot to read under; needs `repeatable read, read only`. */
  snapshot?: string;
  /** What plan text is written against. Defaults to the empty path. */
  searchPath?: string[];
}

const pinned = Object.entries(pins)
  .filter(([name]) => name !== 'search_path')
  .map(([name, value]) => `set local ${name} = ${literal(value)}`)
  .join('; ');

/** The search_path as SQL; the empty path is `''`. */
const pathOf = (schemas: string[]): string => (schemas.length === 0 ? "''" : schemas.map(ident).join(', '));

// One round trip, and only utility statements: a query would fix the snapshot before it can be set.
function beginStatement(mode: TransactionMode, options: TransactionOptions): string {
  const snapshot =
    options.snapshot === undefined ? '' : `set transaction snapshot ${literal(options.snapshot)}; `;
  return `begin isolation level ${mode}; ${snapshot}${pinned}; set local search_path = ${pathOf(options.searchPath ?? [])}`;
}

/**
 * Runs `fn` in one transaction with every setting pinned anew (plan text may have changed one): commits what
 * it returns, rolls back what it throws. Throws also where nothing can be committed, because a statement had failed.
 */
export async function inTransaction<T>(
  session: Session,
  mode: TransactionMode,
  fn: () => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  let result: T;
  try {
    await session.query(beginStatement(mode, options));
    result = await fn();
  } catch (error) {
    await session.query('rollback').catch(() => {});
    throw error;
  }
  // Nothing but deferred triggers runs here, over rows.
  const { command } = await session.query('commit').catch((error) => {
    throw markAmongRows(error);
  });
  // Where a statement failed and `fn` passed over it, the server says so by this alone.
  if (command !== 'COMMIT')
    throw new Error('a statement of the transaction had failed: all of it was rolled back');
  return result;
}

/** What became of work that might be undone. */
export type SavepointOutcome<T> = { kind: 'done'; value: T } | { kind: 'undone'; error: unknown };

let savepoints = 0;

/**
 * Runs `fn` under a savepoint of the caller's transaction. An error that is expected undoes what `fn` did, and nothing
 * else; any other is thrown, for the whole transaction to be rolled back.
 */
export async function underSavepoint<T>(
  session: Session,
  isExpected: (error: unknown) => boolean,
  fn: () => Promise<T>,
): Promise<SavepointOutcome<T>> {
  // One name each: an inner one that an error has passed by is there still, and would be gone back to in place of the outer one.
  const name = `rowfleet_${++savepoints}`;
  await session.query(`savepoint ${name}`);
  let value: T;
  try {
    value = await fn();
  } catch (error) {
    if (!isExpected(error)) throw error;
    await session.query(`rollback to savepoint ${name}; release savepoint ${name}`);
    return { kind: 'undone', error };
  }
  await session.query(`release savepoint ${name}`);
  return { kind: 'done', value };
}

/** Pins the search_path for the rest of the transaction. */
export async function setSearchPath(session: Session, path: string[]): Promise<void> {
  await session.query(`set local search_path = ${pathOf(path)}`);
}
