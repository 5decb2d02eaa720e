import { setTimeout as sleep } from 'node:timers/promises';
import { RowfleetError } from '../errors.ts';
import { markAmongRows, safeMessage, sqlState } from '../pg/errors.ts';
import { display } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { sqlStates } from '../pg/sql-states.ts';
import { inTransaction, setSearchPath, underSavepoint } from '../pg/transaction.ts';
import { lockHolders, lockTimeoutStatement } from './lock-holders.ts';
import type { CapturedObject } from './types.ts';

export interface ApplyOptions {
  /**
   * Milliseconds to stand in a lock queue, give or take a quarter; then the application goes first. Keep it
   * above the server's deadlock_timeout, which sends an autovacuum away. Defaults to 2000.
   */
  lockTimeoutMs?: number;
  /** Milliseconds of trying for one lock after which it is given up. Defaults to five minutes. */
  giveUpAfterMs?: number;
  /** Looked at between statements and while waiting; a statement that runs ends with its session only. */
  signal?: AbortSignal;
  /** Runs in the same transaction, before its commit: the caller's ledger row. */
  within?: (session: Session) => Promise<void>;
  /** Hears what is waited for, each time a lock could not be had. */
  onWait?: (reason: string) => void;
}

/** Takes the object down in one transaction. Nothing is held while it waits for a lock. */
export async function takeDown(
  session: Session,
  object: CapturedObject,
  options: ApplyOptions = {},
): Promise<void> {
  await apply(session, object, object.takeDown, options);
}

/**
 * Brings the object back in one transaction, as it was. Throws what the server said, as the cause of a
 * RowfleetError: `buildProblem` makes a finding of it where the rows are to blame.
 */
export async function bringBack(
  session: Session,
  object: CapturedObject,
  options: ApplyOptions = {},
): Promise<void> {
  // Functions in expressions, and what a materialized view calls, may count on the role's own path.
  await apply(session, object, ['set local search_path to default', ...object.bringBack], options);
}

async function apply(
  session: Session,
  object: CapturedObject,
  statements: string[],
  options: ApplyOptions,
): Promise<void> {
  const patience = patienceFor(session, object, options);
  for (;;) {
    options.signal?.throwIfAborted();
    try {
      await inTransaction(session, 'read committed', async () => {
        for (const [i, statement] of statements.entries()) {
          // What has been built so far is worth keeping: only the statement that found no lock is tried again.
          await (i === 0 ? patience.run(statement) : patience.runAgain(statement));
        }
        await setSearchPath(session, []);
        await options.within?.(session);
      });
      return;
    } catch (error) {
      // A refresh computes expressions over rows.
      if (object.kind === 'materialized view') markAmongRows(error);
      if (!isLockProblem(error)) throw describe(object, error);
      await patience.wait(error);
    }
  }
}

const isLockProblem = (error: unknown): boolean =>
  !(error instanceof RowfleetError) &&
  [sqlStates.lockNotAvailable, sqlStates.deadlockDetected].includes(sqlState(error) ?? '');

function describe(object: CapturedObject, error: unknown): unknown {
  if (error instanceof RowfleetError || sqlState(error) === undefined) return error;
  return new RowfleetError(
    'DDL_FAILED',
    `${object.kind} ${object.name} on ${display(object.relation)}: ${safeMessage(error)}`,
    {
      cause: error,
      hint: 'See the statements in rowfleet.object of the target; mend the cause, then resume.',
    },
  );
}

interface Patience {
  run(statement: string): Promise<void>;
  /** Runs in a savepoint, as often as it takes. */
  runAgain(statement: string): Promise<void>;
  wait(error: unknown): Promise<void>;
}

/** Retries with jittered back-off (0.25 s, doubling, at most 5 s) until the time for this object is over. */
function patienceFor(session: Session, object: CapturedObject, options: ApplyOptions): Patience {
  const { lockTimeoutMs = 2_000, giveUpAfterMs = 300_000, signal, onWait } = options;
  let waitingSince: number | undefined;
  let tries = 0;

  const wait = async (error: unknown): Promise<void> => {
    waitingSince ??= Date.now() - lockTimeoutMs;
    const { relation, foreignKey } = object;
    const tables = [relation, ...(foreignKey === undefined ? [] : [foreignKey.references])];
    const holders = await lockHolders(session, tables);
    const seconds = Math.round((Date.now() - waitingSince) / 1000);
    const reason = `waiting ${seconds} s for a lock on ${display(object.relation)}${holders && `, held by ${holders}`}`;
    if (Date.now() - waitingSince >= giveUpAfterMs) {
      throw new RowfleetError('LOCK_NOT_AVAILABLE', `${object.kind} ${object.name}: gave up ${reason}`, {
        cause: error,
        hint: 'End or finish the sessions that hold the table, then resume.',
      });
    }
    onWait?.(reason);
    const backOff = Math.min(5_000, 250 * 2 ** tries++) * (0.5 + Math.random());
    await sleep(backOff, undefined, { signal });
  };

  const run = async (statement: string): Promise<void> => {
    signal?.throwIfAborted();
    await session.query(lockTimeoutStatement(lockTimeoutMs * (0.75 + Math.random() / 2)));
    await session.query(statement);
    waitingSince = undefined;
    tries = 0;
  };

  const foundNoLock = (error: unknown) => sqlState(error) === sqlStates.lockNotAvailable;

  const runAgain = async (statement: string): Promise<void> => {
    for (;;) {
      const outcome = await underSavepoint(session, foundNoLock, () => run(statement));
      if (outcome.kind === 'done') return;
      await wait(outcome.error);
    }
  };

  return { run, runAgain, wait };
}
