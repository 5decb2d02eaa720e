const headerBytes = 5;

/** Takes the payloads out of CopyData frames that are cut anywhere, as the source's socket gives them. */
export class FrameReader {
  /** Bytes of the current payload that are still to come. */
  #left = 0;
  /** The beginning of a header that has not arrived whole. */
  #partial: Buffer = Buffer.alloc(0);
  /** What came is copied to, and made payload in. */
  #room: Buffer = Buffer.alloc(0);

  /** The payloads in one piece. Its bytes are the reader's own, and others after the next push. */
  push(frames: Buffer): Buffer {
    const chunk = this.#taken(frames);
    this.#partial = Buffer.alloc(0);
    let length = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const end = Math.min(at + this.#left, chunk.length);
        chunk.copyWithin(length, at, end);
        length += end - at;
        this.#left -= end - at;
        at = end;
      } else if (chunk.length - at < headerBytes) {
        this.#partial = Buffer.from(chunk.subarray(at));
        break;
      } else {
        this.#left = chunk.readInt32BE(at + 1) - 4; // still whole: rows only move to the front
        at += headerBytes;
      }
    }
    return chunk.subarray(0, length);
  }

  /** What came, behind what was left, in the one room: getting such memory anew takes longer than filling it. */
  #taken(frames: Buffer): Buffer {
    const before = this.#partial.length;
    const length = before + frames.length;
    if (this.#room.length < length) this.#room = Buffer.allocUnsafeSlow(length);
    this.#partial.copy(this.#room);
    frames.copy(this.#room, before);
    return this.#room.subarray(0, length);
  }
}
