import { isUtf8 } from 'node:buffer';
import { RowfleetError } from '../errors.ts';
import { type Decode, decoderOf, unescapeField } from './decode-values.ts';
import type { InputRow, TransformInput } from './types.ts';

const newline = 0x0a;

/** Rows, and for each what stood before its own columns. */
export interface DecodedRows {
  rows: InputRow[];
  /** Of the row with the same index; empty where nothing stood there. */
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
    const whole = payload.subarray(0, end + 1);
    const lines = this.#partial.length === 0 ? whole : Buffer.concat([...this.#partial, whole]);
    // A source in SQL_ASCII sends what it has; what is no character would be replaced without a word.
    if (!isUtf8(lines)) throw new RowfleetError('COPY_TEXT', 'the source sent text that is not UTF-8');
    this.#partial = end + 1 < payload.length ? [payload.subarray(end + 1)] : [];
    return this.#decode(lines.toString('utf8'));
  }

  /** Says that nothing more comes. Throws where a line has not ended. */
  end(): void {
    if (this.#partial.length > 0)
      throw new RowfleetError('COPY_TEXT', 'the source’s COPY ended within a row');
  }

  // Fields are looked for one by one: splitting lines, then fields, takes twice as long.
  #decode(text: string): DecodedRows {
    const names = this.#names;
    const decoders = this.#decoders;
    const width = this.#before + names.length;
    this.#requireWidth(text, width);
    const rows: InputRow[] = [];
    const keys: (string | null)[][] = [];
    for (let at = 0; at < text.length; ) {
      const row: InputRow = {};
      const key: (string | null)[] = [];
      for (let i = 0; i < width; i++) {
        const end = text.indexOf(i === width - 1 ? '\n' : '\t', at);
        if (end === -1) throw new RowfleetError('COPY_TEXT', 'the source sent a row of another width');
        const field = text.slice(at, end);
        const column = i - this.#before;
        if (column < 0) key.push(keyField(field));
        else row[names[column]!] = field === '\\N' ? null : decoders[column]!(field);
        at = end + 1;
      }
      rows.push(row);
      if (this.#before > 0) keys.push(key);
    }
    return { rows, keys };
  }

  /** The first line says it for all: a server sends one statement's rows. */
  #requireWidth(text: string, width: number): void {
    const sent = text.slice(0, text.indexOf('\n')).split('\t').length;
    if (sent === width) return;
    throw new RowfleetError('COPY_TEXT', `the source sent ${sent} columns instead of ${width}`);
  }
}

const keyField = (field: string): string | null => (field === '\\N' ? null : unescapeField(field));
