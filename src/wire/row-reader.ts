const headerBytes = 5;

/**
 * Takes CopyData frames, cut anywhere, and hands on each frame's payload whole. A server sends one frame a row (PostgreSQL
 * documentation, "COPY Operations"); before a binary COPY's first row stands its header, and its trailer is a frame of its own.
 */
export class RowReader {
  readonly #onRow: (bytes: Buffer, from: number, to: number) => void;
  #partial: Buffer = Buffer.alloc(0);

  constructor(onRow: (bytes: Buffer, from: number, to: number) => void) {
    this.#onRow = onRow;
  }

  take(frames: Buffer): void {
    const bytes = this.#partial.length === 0 ? frames : Buffer.concat([this.#partial, frames]);
    let at = 0;
    while (bytes.length - at >= headerBytes) {
      const end = at + 1 + bytes.readInt32BE(at + 1);
      if (end > bytes.length) break;
      this.#onRow(bytes, at + headerBytes, end);
      at = end;
    }
    // A copy: what arrived may be the socket's own memory.
    this.#partial = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
  }
}
