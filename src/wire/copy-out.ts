import type { Duplex } from 'node:stream';
import { markAmongRows } from '../pg/errors.ts';

/** What pg's Connection offers to a query of our own making. */
export interface Wire {
  stream: Duplex;
  query(text: string): void;
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
}

type Sink = (frames: Buffer) => void;
type DataListener = (chunk: Buffer) => void;

const headerBytes = 5;
const copyData = 0x64; // 'd'
const copyDone = 0x63; // 'c'
const copyOutResponse = 0x48; // 'H'
const passingMessages = new Set([0x4e, 0x53, 0x41]); // notice, parameter status, notification

/** Rows that a COPY command tag (`COPY 123`) reports. */
export function rowsOfTag(tag: string): number {
  return Number(/^COPY (\d+)$/.exec(tag)?.[1] ?? 0);
}

/**
 * `COPY … TO STDOUT` that hands on CopyData frames as they came from the socket: headers included, not one
 * row parsed or copied, frames cut anywhere. A frame has the same form in both directions, so the target's
 * socket takes the bytes as they are. Everything else goes on to pg's own parser.
 */
export class CopyOut {
  readonly done: Promise<number>;
  readonly #text: string;
  readonly #sink: Sink;
  readonly #settle: { resolve: (rows: number) => void; reject: (error: Error) => void };
  #wire: Wire | undefined;
  #parsers: DataListener[] = [];
  /** Bytes of the current CopyData frame that are still to come, header included. */
  #left = 0;
  /** The beginning of a message that has not arrived whole. */
  #partial: Buffer = Buffer.alloc(0);
  #rows = 0;
  /** The server has accepted the statement. */
  #began = false;

  constructor(text: string, sink: Sink) {
    this.#text = text;
    this.#sink = sink;
    const { promise, resolve, reject } = promiseParts<number>();
    this.done = promise;
    this.#settle = { resolve, reject };
  }

  /** Called by pg when the session is free: takes over what arrives on the socket. */
  submit(wire: Wire): void {
    this.#wire = wire;
    this.#parsers = wire.stream.listeners('data') as DataListener[];
    wire.stream.removeAllListeners('data');
    wire.stream.on('data', this.#onData);
    wire.query(this.#text);
  }

  pause(): void {
    this.#wire?.stream.pause();
  }

  resume(): void {
    this.#wire?.stream.resume();
  }

  destroy(error: Error): void {
    this.#wire?.stream.destroy(error);
  }

  handleCommandComplete(message: { text: string }): void {
    this.#rows = rowsOfTag(message.text);
  }

  handleReadyForQuery(): void {
    this.#settle.resolve(this.#rows);
  }

  handleError(error: Error): void {
    this.#settle.reject(this.#began ? markAmongRows(error) : error);
  }

  #onData = (arrived: Buffer): void => {
    const chunk = this.#partial.length === 0 ? arrived : Buffer.concat([this.#partial, arrived]);
    this.#partial = Buffer.alloc(0);
    let frames = 0; // where the frames that are not handed on yet begin
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
        continue;
      }
      if (chunk.length - at < headerBytes) break;
      const type = chunk[at]!;
      const length = 1 + chunk.readInt32BE(at + 1);
      if (type === copyData) {
        this.#left = length;
        continue;
      }
      this.#forward(chunk, frames, at);
      frames = at;
      this.#began ||= type === copyOutResponse;
      if (type !== copyOutResponse && type !== copyDone && !passingMessages.has(type)) {
        this.#release(chunk.subarray(at));
        return;
      }
      if (chunk.length - at < length) break;
      if (passingMessages.has(type)) this.#parse(chunk.subarray(at, at + length));
      at += length;
      frames = at;
    }
    this.#forward(chunk, frames, at);
    if (at < chunk.length) this.#partial = chunk.subarray(at);
  };

  #forward(chunk: Buffer, from: number, to: number): void {
    if (to > from) this.#sink(chunk.subarray(from, to));
  }

  #parse(bytes: Buffer): void {
    for (const parser of this.#parsers) parser(bytes);
  }

  /** The COPY is over, well or badly: pg reads its own socket again. */
  #release(rest: Buffer): void {
    const stream = this.#wire!.stream;
    stream.removeListener('data', this.#onData);
    for (const parser of this.#parsers) stream.on('data', parser);
    this.#parse(rest);
  }
}

/** A promise with its two ends, handled: a rejection that nobody awaits yet is not an unhandled one. */
export function promiseParts<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: Error) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}
