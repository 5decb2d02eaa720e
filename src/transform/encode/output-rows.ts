import type { CopyFormat } from '../../wire/relay-types.ts';
import { OnlyText } from './binary-values.ts';
import { frameOf } from './frame-of.ts';
import { Room } from './room.ts';
import type { RowEncoder } from './row-encoder.ts';

/** A whole CopyData frame, and the format of its rows. */
export interface OutputFrame {
  frame: Buffer;
  format: CopyFormat;
}

/** Rows for the target that have not been written: in binary format, which the server takes in about half of the time, while it can be. */
export class OutputRows {
  /** Of the next row. */
  format: CopyFormat;
  readonly #encoder: RowEncoder;
  readonly #room: Room;
  #text = '';

  /** `binary`: whether rows begin in binary format. */
  constructor(encoder: RowEncoder, binary: boolean) {
    this.#encoder = encoder;
    this.format = binary ? 'binary' : 'text';
    this.#room = new Room();
  }

  /** Bytes of binary rows and characters of text. */
  get length(): number {
    return this.#room.length + this.#text.length;
  }

  /**
   * Adds a row, or an array of them, as a whole or not at all; from one on that has only text, all are text. Throws
   * MisfitRow.
   */
  add(result: unknown): void {
    if (this.format === 'text' || !this.#put(result)) this.#text += this.#encoder.lines(result);
  }

  #put(result: unknown): boolean {
    const { at } = this.#room;
    try {
      this.#encoder.put(result, this.#room);
      return true;
    } catch (error) {
      this.#room.at = at;
      if (!(error instanceof OnlyText)) throw error;
      this.format = 'text';
      return false;
    }
  }

  /** What there is since the last call. */
  take(): OutputFrame[] {
    const frames: OutputFrame[] = [];
    if (this.#room.length > 0) frames.push({ frame: this.#room.take(), format: 'binary' });
    if (this.#text !== '') frames.push({ frame: frameOf(this.#text), format: 'text' });
    this.#text = '';
    return frames;
  }
}
