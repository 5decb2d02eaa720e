/** What went wrong, from the user's point of view; decides the exit code. */
export type ErrorKind =
  /** The command line, the plan or the environment must change first. Exit code 2. */
  | 'usage'
  /** The work was tried and failed. Exit code 1. */
  | 'failed';

/**
 * The one error type that reaches people. `message` names the thing and the reason, `hint` the next step.
 * Neither may hold a row value or a secret.
 */
export class RowfleetError extends Error {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly hint: string | undefined;

  constructor(
    code: string,
    message: string,
    options: { kind?: ErrorKind; hint?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RowfleetError';
    this.code = code;
    this.kind = options.kind ?? 'failed';
    this.hint = options.hint;
  }
}

/** Rows that rowfleet itself cannot take, as a server refuses some: found alone, such a row is set aside. */
export class RowRefused extends RowfleetError {
  readonly stage: 'transform' | 'load';
  readonly column: string | undefined;

  constructor(
    code: string,
    message: string,
    at: { stage: 'transform' | 'load'; column?: string; hint?: string; cause?: unknown },
  ) {
    super(code, message, at);
    this.name = 'RowRefused';
    this.stage = at.stage;
    this.column = at.column;
  }
}

/** A user-side mistake: nothing was changed, exit code 2. */
export function usageError(code: string, message: string, hint?: string): RowfleetError {
  return new RowfleetError(code, message, { kind: 'usage', ...(hint === undefined ? {} : { hint }) });
}
