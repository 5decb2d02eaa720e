const headerBytes = 5;
const nothing = Buffer.alloc(0);

/** Bytes of the frame that begins there, its header included. */
const frameLength = (bytes: Buffer, at: number): number => 1 + bytes.readInt32BE(at + 1);

/**
 * Takes CopyData frames, cut anywhere, and hands on each frame's payload whole. A server sends one frame a row (PostgreSQL
 * documentation, "COPY Operations"); before a binary COPY's first row stands its header, and its trailer is a frame of its own.
 */
export class RowReader {
  readonly #onRow: (bytes: Buffer, from: number, to: number) => void;
  /** Room for a frame that has not arrived whole, or for its header while that is all there is; empty where none waits. */
  #partial: Buffer = nothing;
  #filled = 0;

  constructor(onRow: (bytes: Buffer, from: number, to: number) => void) {
    this.#onRow = onRow;
  }

  take(frames: Buffer): void {
    let at = this.#fill(frames);
    while (frames.length - at >= headerBytes) {
      const end = at + frameLength(frames, at);
      if (end > frames.length) break;
      this.#onRow(frames, at + headerBytes, end);
      at = end;
    }
    if (at === frames.length) return;
    const whole = frames.length - at < headerBytes ? headerBytes : frameLength(frames, at);
    // A copy: what arrived may be the socket's own memory. With room for all of it, so that a long row is not copied again for each chunk.
    this.#partial = Buffer.allocUnsafe(whole);
    this.#filled = frames.copy(this.#partial, 0, at);
  }

  /** Adds to the frame that waits, and hands it on when it is whole. Returns how many bytes that took. */
  #fill(frames: Buffer): number {
    let at = 0;
    while (this.#partial.length > 0) {
      const taken = frames.copy(this.#partial, this.#filled, at);
      this.#filled += taken;
      at += taken;
      if (this.#filled < this.#partial.length) return at;
      const length = frameLength(this.#partial, 0);
      if (this.#partial.length < length) {
        this.#partial = Buffer.concat([this.#partial], length);
        continue;
      }
      const frame = this.#partial;
      this.#partial = nothing;
      this.#onRow(frame, headerBytes, length);
    }
    return at;
  }
}
