import type { CopyFormat } from '../../wire/relay-types.ts';
import { OnlyText } from './binary-values.ts';
import { framesOf } from './frame-of.ts';
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
  readonly #room: Room | undefined;
  #text = '';

  /** `binary`: whether rows begin in binary format. */
  constructor(encoder: RowEncoder, binary: boolean) {
    this.#encoder = encoder;
    this.format = binary ? 'binary' : 'text';
    this.#room = binary ? new Room() : undefined;
  }

  /** Bytes of binary rows and characters of text. */
  get length(): number {
    return (this.#room?.length ?? 0) + this.#text.length;
  }

  /**
   * Adds a row, or an array of them, as a whole or not at all; from one on that has only text, all are text. Throws
   * MisfitRow.
   */
  add(result: unknown): void {
    const room = this.format === 'binary' ? this.#room : undefined;
    if (room === undefined || !this.#put(result, room)) this.#text += this.#encoder.lines(result);
  }

  #put(result: unknown, room: Room): boolean {
    const { at } = room;
    try {
      this.#encoder.put(result, room);
      return true;
    } catch (error) {
      room.at = at;
      if (!(error instanceof OnlyText)) throw error;
      this.format = 'text';
      return false;
    }
  }

  /** What there is since the last call. */
  take(): OutputFrame[] {
    const frames: OutputFrame[] = [];
    if (this.#room !== undefined && this.#room.length > 0)
      for (const frame of this.#room.take()) frames.push({ frame, format: 'binary' });
    if (this.#text !== '') for (const frame of framesOf(this.#text)) frames.push({ frame, format: 'text' });
    this.#text = '';
    return frames;
  }
}
