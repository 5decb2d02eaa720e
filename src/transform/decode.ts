import { isUtf8 } from 'node:buffer';
import { RowfleetError } from '../errors.ts';
import { type Decode, decoderOf, unescapeField } from './decode-values.ts';
import type { InputRow, TransformInput } from './types.ts';

const newline = 0x0a;

/** Rows, and for each what stood before its own columns. */
export interface DecodedRows {
  rows: InputRow[];
  /** Of the row with the same index. */
  keys: (string | null)[][];
}

/**
 * Reads the text format of COPY TO STDOUT, UTF-8, cut anywhere. Only whole lines are decoded, so nothing of a character or
 * an escape is ever missing.
 */
export class RowDecoder {
  readonly #names: string[];
  readonly #decoders: Decode[];
  readonly #before: number;
  /** Pieces of a line that has not ended. */
  #partial: Buffer[] = [];

  /** `before`: columns ahead of the row's own, kept as text. Defaults to none. */
  constructor(columns: TransformInput[], before = 0) {
    this.#names = columns.map(({ name }) => name);
    this.#decoders = columns.map(({ value }) => decoderOf(value));
    this.#before = before;
  }

  push(payload: Buffer): DecodedRows {
    const end = payload.lastIndexOf(newline);
    if (end === -1) {
      if (payload.length > 0) this.#partial.push(payload);
      return { rows: [], keys: [] };
    }
    const whole = payload.subarray(0, end);
    const lines = this.#partial.length === 0 ? whole : Buffer.concat([...this.#partial, whole]);
    // A source in SQL_ASCII sends what it has; what is no character would be replaced without a word.
    if (!isUtf8(lines)) throw new RowfleetError('COPY_TEXT', 'the source sent text that is not UTF-8');
    this.#partial = end + 1 < payload.length ? [payload.subarray(end + 1)] : [];
    return this.#decode(lines.toString('utf8').split('\n'));
  }

  /** Says that nothing more comes. Throws where a line has not ended. */
  end(): void {
    if (this.#partial.length > 0)
      throw new RowfleetError('COPY_TEXT', 'the source’s COPY ended within a row');
  }

  #decode(lines: string[]): DecodedRows {
    const names = this.#names;
    const decoders = this.#decoders;
    const before = this.#before;
    const rows: InputRow[] = [];
    const keys: (string | null)[][] = [];
    for (const line of lines) {
      const fields = line.split('\t');
      if (fields.length !== before + names.length)
        throw new RowfleetError(
          'COPY_TEXT',
          `the source sent ${fields.length} columns instead of ${before + names.length}`,
        );
      const row: InputRow = {};
      for (let i = 0; i < names.length; i++) {
        const field = fields[before + i]!;
        row[names[i]!] = field === '\\N' ? null : decoders[i]!(field);
      }
      rows.push(row);
      keys.push(before === 0 ? [] : fields.slice(0, before).map(keyField));
    }
    return { rows, keys };
  }
}

const keyField = (field: string): string | null => (field === '\\N' ? null : unescapeField(field));
