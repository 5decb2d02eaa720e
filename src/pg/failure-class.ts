import { RowfleetError, RowRefused } from '../errors.ts';
import { isConnectionLost, isRaised, nodeCode, sqlState } from './errors.ts';
import { sqlStates } from './sql-states.ts';

/**
 * What to do about a failure:
 * `wait`: nothing is wrong with the work; it goes on when the server does.
 * `shrink`: it was too much at once, or met another's lock; half as much may pass.
 * `row`: a row was refused; the others need not wait for it.
 * `give up`: another try would fail the same way until a person changes something.
 */
export type FailureClass = 'wait' | 'shrink' | 'row' | 'give up';

/**
 * Whole classes of SQLSTATE and single codes that differ from their class, after PostgreSQL's appendix A, "PostgreSQL Error Codes"
 * (src/backend/utils/errcodes.txt). What is not named is given up: another try would repeat it.
 */
export const failureClasses: Readonly<Record<string, FailureClass>> = {
  '08': 'wait', // connection exception
  '21': 'row', // cardinality violation: a subquery of an expression yields several rows
  '22': 'row', // data exception
  '23': 'row', // integrity constraint violation
  '2F': 'row', // SQL routine exception
  '38': 'row', // external routine exception
  '39': 'row', // external routine invocation exception
  '44': 'row', // WITH CHECK OPTION violation
  '53': 'shrink', // insufficient resources: memory, configuration limits
  '53100': 'wait', // disk full: people can free space
  '53300': 'wait', // too many connections
  '54': 'row', // program limit exceeded: a row too wide for its page or its index
  '54011': 'give up', // too many columns
  '54023': 'give up', // too many arguments
  '57': 'wait', // operator intervention: shutdown, crash recovery, starting up
  '57014': 'shrink', // query cancelled, by a person or a timeout
  '58': 'wait', // system error: I/O
  '58P01': 'give up', // undefined file: a library that is not installed
  '58P02': 'give up', // duplicate file
  '25006': 'wait', // read-only transaction: a target that was demoted, or closed by its host until its disk has space
  '25P03': 'wait', // idle-in-transaction timeout: the session is gone
  '25P04': 'shrink', // transaction timeout
  '40001': 'wait', // serialization failure; on a standby, a conflict with its recovery
  '40003': 'wait', // statement completion unknown
  '40P01': 'shrink', // deadlock
  '55006': 'wait', // object in use
  '55P03': 'shrink', // lock not available
  '72000': 'wait', // snapshot too old
  HV00N: 'wait', // a foreign server does not answer
  P0: 'row', // PL/pgSQL error
  XX000: 'shrink', // internal error: counted, and halving shows where
};

/** Codes of our own, and of Node where the server said nothing. */
const ownClasses: Readonly<Record<string, FailureClass>> = {
  BATCH_TIMEOUT: 'shrink',
  LOCK_NOT_AVAILABLE: 'shrink',
  WORKER_LOST: 'shrink',
  CONNECTION_TERMINATED: 'wait',
  SNAPSHOT_GONE: 'wait',
  TASK_LOCKED: 'wait',
  PLAN_REVISED: 'wait',
  TRANSFORM_HELD: 'wait',
  EMFILE: 'wait',
  ENFILE: 'wait',
  ENOSPC: 'wait',
  EHOSTDOWN: 'wait',
  ENETDOWN: 'wait',
};

/** The code that stands for an error: SQLSTATE, rowfleet's own or Node's; INTERNAL where it has none. */
export function failureCode(error: unknown): string {
  if (error instanceof RowfleetError) return error.code;
  return (
    sqlState(error) ?? nodeCode(error) ?? (isConnectionLost(error) ? 'CONNECTION_TERMINATED' : 'INTERNAL')
  );
}

/** The class of anything that ended an attempt; `side` is where it came from, as far as that is known. */
export function classify(error: unknown, side?: 'source' | 'target'): FailureClass {
  if (error instanceof RowRefused) return 'row';
  const state = sqlState(error);
  if (state === undefined) {
    // A server's socket comes and goes with it.
    const socketGone = error instanceof RowfleetError && error.code === 'ENOENT';
    if (socketGone || isConnectionLost(error)) return 'wait';
    return ownClasses[failureCode(error)] ?? 'give up';
  }
  if (isRaised(error)) return 'row';
  // Every transaction on the source is read-only: an expression of the plan writes.
  if (state === sqlStates.readOnlyTransaction && side === 'source') return 'give up';
  // While connecting, and only then, a protocol violation is a start-up parameter that is refused.
  if (state === sqlStates.protocolViolation && error instanceof RowfleetError) return 'give up';
  return failureClasses[state] ?? failureClasses[state.slice(0, 2)] ?? 'give up';
}

/** Whether a server, or rowfleet itself, refused something, and the session is there to go on with. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof RowRefused || (sqlState(error) !== undefined && !isConnectionLost(error));
