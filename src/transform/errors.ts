import { RowfleetError, RowRefused } from '../errors.ts';

/** Where in a batch something went wrong. */
export interface RowPlace {
  flow: string;
  /** Of the input row in its batch, from 0; for a chunk function the first one of the call. */
  row: number;
  /** Rows that the call was given. */
  rows: number;
  /** What the source sent before the row's own columns, as text: what the caller knows the driving row by. */
  key: readonly (string | null)[];
}

const rowsOf = ({ row, rows }: RowPlace): string =>
  rows === 1 ? `row ${row + 1} of the batch` : `rows ${row + 1} to ${row + rows} of the batch`;

/** A transform and one of its input rows do not go together. Nothing that can be seen from outside holds a value. */
export class TransformRefused extends RowRefused {
  readonly flow: string;
  readonly row: number;
  readonly rows: number;
  // Private: what logs an error prints its own properties, and the key is of the row.
  readonly #key: readonly (string | null)[];

  constructor(code: string, place: RowPlace, message: string, hint: string, column?: string) {
    super(code, `the transform of ${place.flow} ${message}`, {
      stage: 'transform',
      hint,
      ...(column === undefined ? {} : { column }),
    });
    this.name = 'TransformRefused';
    this.flow = place.flow;
    this.row = place.row;
    this.rows = place.rows;
    this.#key = place.key;
  }

  /** See `RowPlace.key`. Holds values: for sealed storage only. */
  key(): readonly (string | null)[] {
    return this.#key;
  }
}

/** Rows of a batch that were gathered one by one, in their order; all others may go on without them. */
export class RowsRefused extends RowRefused {
  readonly rows: readonly TransformRefused[];

  constructor(rows: readonly TransformRefused[]) {
    const [{ code, message, hint, column }] = rows as [TransformRefused];
    super(code, message, { stage: 'transform', ...(hint && { hint }), ...(column && { column }) });
    this.name = 'RowsRefused';
    this.rows = rows;
  }
}

/** The function threw, or its promise was rejected. */
export class TransformThrew extends TransformRefused {
  /** The error's name: `TypeError`. */
  readonly thrown: string;
  /** The stack as far as it lies in the plan's folder, innermost first: `transforms/chunk.ts:12:5`. */
  readonly frames: string[];
  /** It failed after it had begun to wait: a service may be to blame, and not the row. */
  readonly isAsync: boolean;
  readonly #message: string;

  constructor(place: RowPlace, error: { name: string; frames: string[]; message: string; isAsync: boolean }) {
    const at = error.frames.length === 0 ? '' : ` at ${error.frames.join(', ')}`;
    super(
      'TRANSFORM_THREW',
      place,
      `threw ${error.name} for ${rowsOf(place)}${at}`,
      'Mend the function, or leave such rows out with where.',
    );
    this.name = 'TransformThrew';
    this.thrown = error.name;
    this.frames = error.frames;
    this.isAsync = error.isAsync;
    this.#message = error.message;
  }

  /** What the error itself said. May hold values of rows: for sealed storage only. */
  sealedMessage(): string {
    return this.#message;
  }
}

/** The function returned what the target table cannot take. */
export class TransformResult extends TransformRefused {
  readonly expected: string;
  /** The type of what was found, never its value. */
  readonly found: string;

  constructor(place: RowPlace, misfit: { column?: string; expected: string; found: string; hint?: string }) {
    const column = misfit.column === undefined ? '' : ` for column ${misfit.column}`;
    super(
      'TRANSFORM_RESULT',
      place,
      `returned ${misfit.found}${column} where ${misfit.expected} is expected (${rowsOf(place)})`,
      misfit.hint ?? '`rowfleet types` prints what the function must return.',
      misfit.column,
    );
    this.name = 'TransformResult';
    this.expected = misfit.expected;
    this.found = misfit.found;
  }
}

/** The function gave two results for one input: it is to be mended, and no row is to blame. */
export class TransformUnstable extends RowfleetError {
  readonly flow: string;
  readonly row: number;
  /** Columns that differed; empty where the number of rows did. */
  readonly columns: string[];

  constructor(place: RowPlace, columns: string[]) {
    const what = columns.length === 0 ? 'the number of rows' : columns.join(', ');
    super(
      'TRANSFORM_UNSTABLE',
      `the transform of ${place.flow} was called twice for ${rowsOf(place)} and gave two results: ${what} differed`,
      {
        hint: 'What it returns may depend on its input and the plan’s constants only: not on time, chance, or calls before.',
      },
    );
    this.name = 'TransformUnstable';
    this.flow = place.flow;
    this.row = place.row;
    this.columns = columns;
  }
}

/** Calls fail again and again, and none is made for a while. Nothing is wrong with the rows. */
export class TransformHeld extends RowfleetError {
  readonly until: Date;

  constructor(flow: string, failures: number, until: Date) {
    super(
      'TRANSFORM_HELD',
      `the transform of ${flow} failed ${failures} times in a row: it is called again at ${until.toISOString()}`,
      { hint: 'See to the service that it calls.' },
    );
    this.name = 'TransformHeld';
    this.until = until;
  }
}

/** This process cannot run a transform as the plan has it: the code is missing, broken or another one than was checked. */
export class TransformCode extends RowfleetError {
  constructor(
    code: 'TRANSFORM_FILE' | 'TRANSFORM_CODE' | 'TRANSFORM_DIFFERS',
    message: string,
    hint?: string,
  ) {
    super(code, message, { kind: 'usage', ...(hint === undefined ? {} : { hint }) });
    this.name = 'TransformCode';
  }
}
