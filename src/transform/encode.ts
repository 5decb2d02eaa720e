import { nearest } from '../nearest.ts';
import { encoderOf, Misfit, typeInWords } from './encode-values.ts';
import { rowWriter } from './shape.ts';
import type { TransformOutput } from './types.ts';

/** What is wrong with a returned row, for a TransformResult. */
export interface RowMisfit {
  column?: string;
  expected: string;
  found: string;
  hint?: string;
}

/** Thrown by `RowEncoder`; the caller knows the input row. */
export class MisfitRow extends Error {
  readonly misfit: RowMisfit;

  constructor(misfit: RowMisfit) {
    super(`expected ${misfit.expected}, found ${misfit.found}`);
    this.misfit = misfit;
  }
}

/** Writes returned rows as lines of COPY FROM STDIN in text format, in the order of the columns. */
export class RowEncoder {
  readonly #columns: TransformOutput[];
  readonly #names: string[];
  readonly #write: (row: object) => string;

  constructor(columns: TransformOutput[]) {
    this.#columns = columns;
    this.#names = columns.map(({ name }) => name);
    const encoders = columns.map(({ value }) => encoderOf(value));
    this.#write = rowWriter(this.#names, encoders, {
      absent: (i, value) => this.#absent(i, value),
      misfit: (i, error) => this.#throw(i, error),
      checkKeys: (row) => this.#checkKeys(row as Record<string, unknown>),
    });
  }

  /** One row as a line. Throws MisfitRow. */
  encode(row: unknown): string {
    if (typeof row !== 'object' || row === null || Array.isArray(row))
      throw new MisfitRow({ expected: 'a row (an object)', found: typeInWords(row) });
    return this.#write(row);
  }

  /** Names of the columns in which the lines of two results differ; empty where their number does. */
  differing(one: string, other: string): string[] {
    const [left, right] = [one, other].map((lines) => lines.split('\n').map((line) => line.split('\t')));
    if (left!.length !== right!.length) return [];
    return this.#names.filter((_, i) => left!.some((fields, at) => fields[i] !== right![at]![i]));
  }

  #throw(i: number, error: unknown): never {
    if (!(error instanceof Misfit)) throw error;
    const { name, type } = this.#columns[i]!;
    throw new MisfitRow({ column: name, expected: `${error.expected} for ${type}`, found: error.found });
  }

  #absent(i: number, value: null | undefined): string {
    const { name, type, nullable, optional } = this.#columns[i]!;
    if (value === null ? nullable : optional) return '\\N';
    throw new MisfitRow({
      column: name,
      expected: nullable ? `a value for ${type}, or null` : `a value for ${type}, which is NOT NULL`,
      found: value === null ? 'null' : 'nothing',
      ...(value === null
        ? {}
        : {
            hint: 'Return it, or list under transform.returns the columns that the function fills: others get their defaults.',
          }),
    });
  }

  #checkKeys(record: Record<string, unknown>): void {
    const keys = Object.keys(record);
    if (keys.length === 0)
      throw new MisfitRow({ expected: 'a row (an object)', found: 'an object without a key' });
    const unknown = keys.find((key) => !this.#names.includes(key));
    if (unknown === undefined) return;
    const near = nearest(unknown, this.#names);
    throw new MisfitRow({
      column: unknown,
      expected: 'only columns that the function fills',
      found: typeInWords(record[unknown]),
      hint: near === undefined ? `It fills ${this.#names.join(', ')}.` : `Did you mean ${near}?`,
    });
  }
}
