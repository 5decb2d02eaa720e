import { behindRows, markAmongRows } from '../pg/errors.ts';
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
  readonly #onDrain: () => void;
  readonly #rowsBefore: number;
  readonly #ready = promiseParts<void>();
  readonly #done = promiseParts<number>();
  #wire: Wire | undefined;
  #rows = 0;
  /** The server has accepted the statement. */
  #began = false;

  /** `onDrain` is called whenever a full socket takes more. `rowsBefore`: those that COPYs before it took of the same batch. */
  constructor(text: string, onDrain: () => void, rowsBefore = 0) {
    this.#text = text;
    this.#onDrain = onDrain;
    this.#rowsBefore = rowsBefore;
    this.ready = this.#ready.promise;
    this.done = this.#done.promise;
  }

  /** Called by pg when the session is free. */
  submit(wire: Wire): void {
    this.#wire = wire;
    wire.stream.on('drain', this.#onDrain);
    wire.query(this.#text);
  }

  /** Writes frames; false when the socket is full, until `onDrain`. */
  write(frames: Buffer): boolean {
    const stream = this.#wire!.stream;
    return stream.writable ? stream.write(frames) : true;
  }

  /** Stops hearing of the socket; whatever the session does next is not this COPY's. */
  release(): void {
    this.#wire?.stream.removeListener('drain', this.#onDrain);
  }

  /** Says that all rows are there. */
  end(): void {
    this.#wire!.endCopyFrom();
  }

  /** Gives the COPY up, between two rows: the server answers with an error and keeps the session. */
  fail(reason: string): void {
    this.#wire!.sendCopyFail(reason);
  }

  destroy(error: Error): void {
    this.#wire?.stream.destroy(error);
  }

  handleCopyInResponse(): void {
    this.#began = true;
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
    this.#done.reject(this.#began ? markAmongRows(behindRows(error, this.#rowsBefore)) : error);
  }
}
