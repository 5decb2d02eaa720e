import { isRefusal } from '../pg/failure-class.ts';
import type { Session } from '../pg/session.ts';
import { CopyIn } from './copy-in.ts';
import { CopyOut } from './copy-out.ts';
import type { DrainedRows } from './frame-writer.ts';
import { type RelayOptions, type RelaySide, submit } from './relay.ts';
import { envelope } from './split.ts';

/** Makes of what the source sends what each output takes. */
export interface Sorter {
  /** Takes CopyData frames of the source's COPY, cut anywhere. */
  take(frames: Buffer): void;
  /** Rows that the source has sent. */
  readonly rows: number;
  /** Bytes that have not been drained. */
  readonly bytes: number;
  /** What there is for each output since the last call. */
  drain(): Promise<DrainedRows[]>;
}

/** One output: what loads rows into it. */
export interface Inlet {
  statement: string;
  format: 'binary' | 'text';
}

/** What each output was given and took. */
export interface PumpTally {
  outputs: { rowsOut: number; rowsIn: number }[];
  bytes: number;
}

export type PumpOutcome =
  | ({ kind: 'copied' } & PumpTally)
  | { kind: 'refused'; side: 'source' | 'target'; error: Error };

/** The source is paused while so much waits; half of it is loaded at a time, so that both sides work. */
const mostBytes = 8 * 1024 * 1024;

/** Runs one COPY … FROM STDIN over frames that are there. */
async function copyInto(
  session: Session,
  inlet: Inlet,
  frames: Buffer[],
  opened: (into: CopyIn) => void,
): Promise<number> {
  const into = new CopyIn(inlet.statement, () => {});
  opened(into);
  try {
    submit(session, into);
    await into.ready;
    const { before, after } = envelope(inlet.format);
    for (const frame of [...before, ...frames, ...after]) into.write(frame);
    into.end();
    return await into.done;
  } finally {
    into.release();
  }
}

/** The source's COPY as it fills a sorter, and what wakes whoever empties that. */
class Filling {
  readonly out: CopyOut;
  bytes = 0;
  ended = false;
  failure: Error | undefined;
  /** What arrives is not wanted any more. */
  discards = false;
  #wake = () => {};
  readonly #sorter: Sorter;

  constructor(statement: string, sorter: Sorter, onBytes: (bytes: number) => void) {
    this.#sorter = sorter;
    this.out = new CopyOut(statement, (frames) => {
      this.bytes += frames.length;
      onBytes(frames.length);
      if (this.discards) return;
      sorter.take(frames);
      if (sorter.bytes >= mostBytes) this.out.pause();
      if (sorter.bytes >= mostBytes / 2) this.#wake();
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
    while (!this.ended && this.#sorter.bytes < mostBytes / 2)
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

/**
 * Runs one COPY of the source into several outputs of the target, by turns of a few megabytes, since a session runs one
 * COPY at a time: memory is bounded by that, and by the largest row. Where a server refuses, `tolerant` leaves both sessions
 * to go back to a savepoint; else, and on abort, both are destroyed.
 */
export async function pump(
  source: RelaySide,
  sorter: Sorter,
  target: { session: Session; inlets: Inlet[] },
  options: RelayOptions & { tolerant: boolean },
): Promise<PumpOutcome> {
  const filling = new Filling(source.statement, sorter, options.onBytes ?? (() => {}));
  const outputs = target.inlets.map(() => ({ rowsOut: 0, rowsIn: 0 }));
  let into: CopyIn | undefined;
  const destroy = (error: Error) => {
    filling.out.destroy(error);
    into?.destroy(error);
  };
  const onAbort = () => destroy(options.signal.reason);
  options.signal.throwIfAborted();
  options.signal.addEventListener('abort', onAbort, { once: true });
  let side: 'source' | 'target' = 'source';
  try {
    submit(source.session, filling.out);
    for (let last = false; !last; ) {
      side = 'source';
      await filling.some();
      if (filling.failure !== undefined) throw filling.failure;
      options.signal.throwIfAborted();
      last = filling.ended;
      side = 'target';
      const drained = await sorter.drain();
      filling.out.resume();
      for (const [i, { rows, frames }] of drained.entries()) {
        if (rows === 0) continue;
        outputs[i]!.rowsOut += rows;
        outputs[i]!.rowsIn += await copyInto(target.session, target.inlets[i]!, frames, (opened) => {
          into = opened;
        });
      }
    }
    return { kind: 'copied', outputs, bytes: filling.bytes };
  } catch (error) {
    if (options.tolerant && !options.signal.aborted && isRefusal(error)) {
      if (side === 'target') await filling.discard();
      return { kind: 'refused', side, error: error as Error };
    }
    destroy(error as Error);
    throw options.signal.aborted ? options.signal.reason : error;
  } finally {
    options.signal.removeEventListener('abort', onAbort);
  }
}
