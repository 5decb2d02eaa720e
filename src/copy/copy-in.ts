import { promiseParts, rowsOfTag, type Wire } from './copy-out.ts';

/**
 * `COPY … FROM STDIN` that takes whole or partial CopyData frames and writes them to the target's socket as
 * they are. After a failure in the middle of a frame the session is good for nothing: destroy it.
 */
export class CopyIn {
  /** Settles when the server is ready for data. */
  readonly ready: Promise<void>;
  /** Rows that the server took. */
  readonly done: Promise<number>;
  readonly #text: string;
  readonly #ready = promiseParts<void>();
  readonly #done = promiseParts<number>();
  #wire: Wire | undefined;
  #rows = 0;

  constructor(text: string) {
    this.#text = text;
    this.ready = this.#ready.promise;
    this.done = this.#done.promise;
  }

  /** Called by pg when the session is free. */
  submit(wire: Wire): void {
    this.#wire = wire;
    wire.query(this.#text);
  }

  /** Writes frames; false when the socket is full: wait for `onDrain`. */
  write(frames: Buffer): boolean {
    const stream = this.#wire!.stream;
    return stream.writable ? stream.write(frames) : true;
  }

  onDrain(listener: () => void): void {
    this.#wire!.stream.on('drain', listener);
    const stop = () => this.#wire!.stream.removeListener('drain', listener);
    this.done.then(stop, stop);
  }

  /** Says that all rows are there. */
  end(): void {
    this.#wire!.endCopyFrom();
  }

  destroy(error: Error): void {
    this.#wire?.stream.destroy(error);
  }

  handleCopyInResponse(): void {
    this.#ready.resolve();
  }

  handleCommandComplete(message: { text: string }): void {
    this.#rows = rowsOfTag(message.text);
  }

  handleReadyForQuery(): void {
    this.#done.resolve(this.#rows);
  }

  handleError(error: Error): void {
    this.#ready.reject(error);
    this.#done.reject(error);
  }
}
