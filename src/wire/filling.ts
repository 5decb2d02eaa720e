import { CopyOut } from './copy-out.ts';

/** Takes CopyData frames of the source's COPY, cut anywhere. */
export interface Filled {
  take(frames: Buffer): void;
  /** Bytes that have not been drained. */
  readonly bytes: number;
}

/** The source is paused while so much waits. */
const mostBytes = 8 * 1024 * 1024;

/** The source's COPY as it fills something, and what wakes whoever empties that. */
export class Filling {
  readonly out: CopyOut;
  bytes = 0;
  ended = false;
  failure: Error | undefined;
  /** What arrives is not wanted any more. */
  discards = false;
  #wake = () => {};
  readonly #filled: Filled;
  readonly #enough: number;

  /** `enough`: bytes from which on there is something to drain. Defaults to half of the most, so that both sides work. */
  constructor(
    statement: string,
    filled: Filled,
    onBytes: (bytes: number) => void,
    enough: number = mostBytes / 2,
  ) {
    this.#filled = filled;
    this.#enough = enough;
    this.out = new CopyOut(statement, (frames) => {
      this.bytes += frames.length;
      onBytes(frames.length);
      if (this.discards) return;
      filled.take(frames);
      if (filled.bytes >= mostBytes) this.out.pause();
      if (filled.bytes >= enough) this.#wake();
    });
    const end = (error?: Error) => {
      this.ended = true;
      this.failure = error;
      this.#wake();
    };
    this.out.done.then(() => end(), end);
  }

  /** Settles when there is something to drain, or nothing more comes. */
  async some(): Promise<void> {
    while (!this.ended && this.#filled.bytes < this.#enough)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  /** Lets what still comes go by, so that the session can be used again. */
  async discard(): Promise<void> {
    this.discards = true;
    this.out.resume();
    while (!this.ended)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }
}
