const headerBytes = 5;
const copyData = 0x64; // 'd'

/** Bytes of one frame; a longer row gets one of its own. */
const frameBytes = 128 * 1024;

/** Below this a loop copies faster than a call into native code, which costs as much as most rows. */
const shortBytes = 32;

/** Rows of a COPY, in CopyData frames. */
export interface DrainedRows {
  rows: number;
  frames: Buffer[];
}

/** Collects rows of a COPY as CopyData frames that a target's socket takes as they are. */
export class FrameWriter {
  rows = 0;
  bytes = 0;
  #frames: Buffer[] = [];
  #open: Buffer | undefined;
  #length = 0;

  /** Adds one row: its head, some bytes of `from`, its tail. */
  add(head: Uint8Array, from: Buffer, start: number, end: number, tail: Uint8Array): void {
    const length = head.length + end - start + tail.length;
    const open = this.#room(length);
    let at = this.#length;
    for (let i = 0; i < head.length; i++) open[at++] = head[i]!;
    if (end - start < shortBytes) for (let i = start; i < end; i++) open[at++] = from[i]!;
    else at += from.copy(open, at, start, end);
    for (let i = 0; i < tail.length; i++) open[at++] = tail[i]!;
    this.#length = at;
    this.bytes += length;
    this.rows += 1;
  }

  #room(length: number): Buffer {
    if (this.#open !== undefined && this.#length + length <= this.#open.length) return this.#open;
    this.#close();
    this.#open = Buffer.allocUnsafe(Math.max(frameBytes, headerBytes + length));
    this.#length = headerBytes;
    return this.#open;
  }

  #close(): void {
    if (this.#open === undefined) return;
    this.#open[0] = copyData;
    this.#open.writeInt32BE(this.#length - 1, 1);
    this.#frames.push(this.#open.subarray(0, this.#length));
    this.#open = undefined;
  }

  /** The frames of all rows since the last call. */
  drain(): DrainedRows {
    this.#close();
    const drained = { rows: this.rows, frames: this.#frames };
    this.#frames = [];
    this.rows = 0;
    this.bytes = 0;
    return drained;
  }
}
