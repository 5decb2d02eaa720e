import { nearest } from '../../nearest.ts';
import type { TransformOutput } from '../types.ts';
import { putterOf } from './binary-values.ts';
import { Misfit, typeInWords } from './expected.ts';
import type { Room } from './room.ts';
import { lineWriter, rowPutter, type WriterTools } from './row-writer.ts';
import { encoderOf } from './text-values.ts';

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

function requireRow(row: unknown): object {
  if (typeof row === 'object' && row !== null && !Array.isArray(row)) return row;
  throw new MisfitRow({ expected: 'a row (an object)', found: typeInWords(row) });
}

/** Writes returned rows as COPY FROM STDIN takes them, in the order of the columns. */
export class RowEncoder {
  readonly #columns: TransformOutput[];
  readonly #names: string[];
  readonly #line: (row: object) => string;
  /** Made when it is needed: most encoders write lines only. */
  #putter: ((row: object, room: Room) => void) | undefined;
  readonly #tools: WriterTools;

  constructor(columns: TransformOutput[]) {
    this.#columns = columns;
    this.#names = columns.map(({ name }) => name);
    this.#tools = {
      requireOptional: (i: number, value: null | undefined) => this.#requireOptional(i, value),
      misfit: (i: number, error: unknown) => this.#throw(i, error),
      checkKeys: (row: object) => this.#checkKeys(row as Record<string, unknown>),
    };
    this.#line = lineWriter(
      this.#names,
      columns.map(({ value }) => encoderOf(value)),
      this.#tools,
    );
  }

  /** One row as a line of the text format. Throws MisfitRow. */
  encode(row: unknown): string {
    return this.#line(requireRow(row));
  }

  /** A row, or an array of them, as lines. Throws MisfitRow. */
  lines(result: unknown): string {
    if (!Array.isArray(result)) return this.encode(result);
    let lines = '';
    for (const row of result) lines += this.encode(row);
    return lines;
  }

  /**
   * Adds a row, or an array of them, in binary format; of what is refused a part may stand there. Throws MisfitRow, and OnlyText for
   * what has no binary form. Only for columns that `haveBinaryForm`.
   */
  put(result: unknown, room: Room): void {
    this.#putter ??= rowPutter(
      this.#names,
      this.#columns.map(({ value }) => putterOf(value)!),
      this.#tools,
    );
    if (!Array.isArray(result)) this.#putter(requireRow(result), room);
    else for (const row of result) this.#putter(requireRow(row), room);
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

  #requireOptional(i: number, value: null | undefined): void {
    const { name, type, nullable, optional } = this.#columns[i]!;
    if (value === null ? nullable : optional) return;
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
