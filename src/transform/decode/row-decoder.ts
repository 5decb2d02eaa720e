import { isAscii, isUtf8 } from 'node:buffer';
import { RowfleetError } from '../../errors.ts';
import type { InputRow, TransformInput } from '../types.ts';
import { type ReadRows, rowReader } from './row-reader.ts';
import { decoderOf, unescapeField } from './values.ts';

const newline = 0x0a;
const backslash = 0x5c;
const capitalN = 0x4e;

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
  readonly #width: number;
  readonly #read: ReadRows;
  /** Pieces of a line that has not ended. */
  #partial: Buffer[] = [];

  /** `before`: columns ahead of the row's own, kept as text. Defaults to none. */
  constructor(columns: TransformInput[], before = 0) {
    this.#width = before + columns.length;
    const names = columns.map(({ name }) => name);
    const decoders = columns.map(({ value }) => decoderOf(value));
    this.#read = rowReader(names, decoders, before, { isNull, unescapeField, endsEarly });
  }

  /** Takes text whose bytes are the caller's again afterwards. */
  push(payload: Buffer): DecodedRows {
    const end = payload.lastIndexOf(newline) + 1;
    const lines = this.#lines(payload.subarray(0, end));
    if (end < payload.length) this.#partial.push(Buffer.from(payload.subarray(end)));
    if (lines.length === 0) return { rows: [], keys: [] };
    // A source in SQL_ASCII sends what it has; what is no character would be replaced without a word.
    if (!isUtf8(lines)) throw new RowfleetError('COPY_TEXT', 'the source sent text that is not UTF-8');
    return this.#decode(lines.toString(isAscii(lines) ? 'latin1' : 'utf8')); // the same text, read faster
  }

  /** What came, with what of its first line came before; nothing as long as no line has ended. */
  #lines(whole: Buffer): Buffer {
    if (whole.length === 0 || this.#partial.length === 0) return whole;
    const lines = Buffer.concat([...this.#partial, whole]);
    this.#partial = [];
    return lines;
  }

  /** Says that nothing more comes. Throws where a line has not ended. */
  end(): void {
    if (this.#partial.length > 0)
      throw new RowfleetError('COPY_TEXT', 'the source’s COPY ended within a row');
  }

  #decode(text: string): DecodedRows {
    this.#requireWidth(text);
    const decoded: DecodedRows = { rows: [], keys: [] };
    this.#read(text, decoded.rows, decoded.keys);
    return decoded;
  }

  /** The first line says it for all: a server sends one statement's rows. */
  #requireWidth(text: string): void {
    const sent = text.slice(0, text.indexOf('\n')).split('\t').length;
    if (sent === this.#width) return;
    throw new RowfleetError('COPY_TEXT', `the source sent ${sent} columns instead of ${this.#width}`);
  }
}

/** Whether the field there is `\N`. */
const isNull = (text: string, from: number, end: number): boolean =>
  end - from === 2 && text.charCodeAt(from) === backslash && text.charCodeAt(from + 1) === capitalN;

function endsEarly(): never {
  throw new RowfleetError('COPY_TEXT', 'the source sent a row of another width');
}
