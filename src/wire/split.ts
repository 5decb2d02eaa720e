import { afterHeader } from './binary-format.ts';
import { type DrainedRows, FrameWriter } from './frame-writer.ts';
import type { Sorter } from './pump.ts';
import type { CopyFormat } from './relay-types.ts';
import { RowReader } from './row-reader.ts';

/** Which of a row's fields belong to one output: `flag` says whether a field before them tells if the row is for it. */
export interface Part {
  columns: number;
  flag: boolean;
}

const tab = 0x09;
const newline = new Uint8Array([0x0a]);
const nothing = new Uint8Array(0);
/**
 * Hands the fields of each row of one COPY out to several outputs, without a look at a value: fields that belong together
 * stand together, so each output's share of a row is one piece of it.
 */
export class Splitter implements Sorter {
  rows = 0;
  readonly #outputs: FrameWriter[];
  readonly #parts: Part[];
  readonly #heads: Uint8Array[];
  readonly #reader: RowReader;
  /** The header of a binary COPY has been passed. */
  #begun = false;

  constructor(parts: Part[], format: CopyFormat) {
    this.#parts = parts;
    this.#outputs = parts.map(() => new FrameWriter());
    this.#heads = parts.map(({ columns }) => new Uint8Array([columns >> 8, columns & 0xff]));
    this.#reader = new RowReader(format === 'binary' ? this.#binary : this.#text);
  }

  take(frames: Buffer): void {
    this.#reader.take(frames);
  }

  get bytes(): number {
    return this.#outputs.reduce((sum, output) => sum + output.bytes, 0);
  }

  async drain(): Promise<DrainedRows[]> {
    return this.#outputs.map((output) => output.drain());
  }

  #text = (bytes: Buffer, from: number, to: number): void => {
    this.rows += 1;
    let at = from;
    for (let i = 0; i < this.#parts.length; i++) {
      const { columns, flag } = this.#parts[i]!;
      let isFor = true;
      if (flag) {
        isFor = bytes[at] === 0x74; // t
        at = afterFields(bytes, at, to, 1);
      }
      const end = afterFields(bytes, at, to, columns);
      if (isFor) this.#outputs[i]!.add(nothing, bytes, at, end - 1, newline);
      at = end;
    }
  };

  #binary = (bytes: Buffer, from: number): void => {
    let at = this.#begun ? from : afterHeader(bytes, from);
    this.#begun = true;
    if (bytes.readInt16BE(at) < 0) return;
    this.rows += 1;
    at += 2;
    for (let i = 0; i < this.#parts.length; i++) {
      const { columns, flag } = this.#parts[i]!;
      let isFor = true;
      if (flag) {
        isFor = bytes.readInt32BE(at) === 1 && bytes[at + 4] === 1;
        at = afterLengths(bytes, at, 1);
      }
      const end = afterLengths(bytes, at, columns);
      if (isFor) this.#outputs[i]!.add(this.#heads[i]!, bytes, at, end, nothing);
      at = end;
    }
  };
}

/** The offset behind some fields of a text row, their last tab or newline included. */
function afterFields(bytes: Buffer, from: number, to: number, fields: number): number {
  let left = fields;
  for (let at = from; at < to; at++) if (bytes[at] === tab && --left === 0) return at + 1;
  return to;
}

/** As `readInt32BE`, which checks its arguments for each of a row's fields. */
const int32At = (bytes: Buffer, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;

/** The offset behind some fields of a binary row, each its length and so many bytes; -1 is NULL. */
function afterLengths(bytes: Buffer, from: number, fields: number): number {
  let at = from;
  for (let left = fields; left > 0; left--) at += 4 + Math.max(0, int32At(bytes, at));
  return at;
}
