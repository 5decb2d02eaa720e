import { barrier } from '../barrier.ts';
import { RowfleetError } from '../errors.ts';
import { isRefusal } from '../pg/failure-class.ts';
import { envelope } from './binary-format.ts';
import { CopyIn } from './copy-in.ts';
import { type Filled, Filling } from './filling.ts';
import type {
  CopyFormat,
  OpenStage,
  RelayOptions,
  RelayOutcome,
  RelaySide,
  RelayTarget,
} from './relay-types.ts';
import { submit } from './submit.ts';

/** Frames as they came, until the stage takes them. */
class Frames implements Filled {
  bytes = 0;
  #frames: Buffer[] = [];

  take(frames: Buffer): void {
    this.bytes += frames.length;
    this.#frames.push(frames);
  }

  drain(): Buffer[] {
    const drained = this.#frames;
    this.#frames = [];
    this.bytes = 0;
    return drained;
  }
}

/** The target's COPY as a stage writes to it: another one as soon as rows come in another format. */
class Writing {
  failure: Error | undefined;
  readonly #target: RelayTarget;
  #format: CopyFormat = 'text';
  #into: CopyIn | undefined;
  /** Of COPYs that have ended. */
  #rows = 0;
  #wake = () => {};

  constructor(target: RelayTarget) {
    this.#target = target;
  }

  async open(format: CopyFormat): Promise<void> {
    const { session, statement: text, binary } = this.#target;
    const statement = { text, binary }[format];
    if (statement === undefined) throw new Error(`no COPY in ${format} format`);
    const into = new CopyIn(statement, () => this.#wake(), this.#rows);
    into.done.catch((error) => {
      this.failure = error;
      this.#wake();
    });
    this.#into = into;
    this.#format = format;
    submit(session, into);
    await into.ready;
    for (const frame of envelope(format).before) into.write(frame);
  }

  write = async (frame: Buffer, format: CopyFormat): Promise<void> => {
    if (this.failure !== undefined) throw this.failure;
    if (format !== this.#format) {
      await this.#end();
      await this.open(format);
    }
    if (this.#into!.write(frame)) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (this.failure !== undefined) throw this.failure;
  };

  async #end(): Promise<void> {
    const into = this.#into!;
    for (const frame of envelope(this.#format).after) into.write(frame);
    into.end();
    this.#rows += await into.done;
    into.release();
  }

  /** Says that all rows are there; gives how many the server took. */
  async end(): Promise<number> {
    await this.#end();
    return this.#rows;
  }

  /** Ends the COPY without its rows, so that the session can be used again. */
  async giveUp(): Promise<void> {
    if (this.failure === undefined) this.#into!.fail('given up');
    await this.#into!.done.catch(() => {});
  }

  release(): void {
    this.#into?.release();
  }

  destroy(error: Error): void {
    this.#into?.destroy(error);
  }
}

/**
 * Runs one COPY of the source through a stage into the target. Memory is bounded by a few megabytes, by what the stage
 * holds, and by the largest row. Where a server or the stage refuses, `tolerant` leaves both sessions to go back to a
 * savepoint; else, and on abort, both are destroyed.
 */
export async function relayThrough(
  source: RelaySide,
  target: RelayTarget,
  open: OpenStage,
  options: RelayOptions & { tolerant: boolean },
): Promise<RelayOutcome> {
  const { signal, tolerant, onBytes = () => {} } = options;
  const frames = new Frames();
  const filling = new Filling(source.statement, frames, onBytes, 1); // the target's COPY is open: nothing is gained by waiting
  const writing = new Writing(target);
  const stage = open(writing.write, target.binary !== undefined);
  const destroy = (error: Error) => {
    filling.out.destroy(error);
    writing.destroy(error);
  };
  const onAbort = () => destroy(signal.reason);
  signal.throwIfAborted();
  signal.addEventListener('abort', onAbort, { once: true });
  let isReading = false;
  try {
    await writing.open(stage.format);
    isReading = true;
    submit(source.session, filling.out);
    await barrier('copy.load');
    for (let last = false; !last; ) {
      await filling.some();
      if (filling.failure !== undefined) throw filling.failure;
      last = filling.ended;
      const some = frames.drain();
      filling.out.resume();
      for (const each of some) await stage.push(each);
    }
    await stage.end();
    const rowsIn = await writing.end();
    return { kind: 'copied', rowsOut: stage.tally.rowsOut, rowsIn, bytes: filling.bytes };
  } catch (error) {
    const isOfStage = error instanceof RowfleetError && error !== writing.failure;
    if (!tolerant || signal.aborted || !(isOfStage || isRefusal(error))) {
      destroy(error as Error);
      throw signal.aborted ? signal.reason : error;
    }
    if (isReading) {
      await writing.giveUp();
      await filling.discard();
    }
    if (!isRefusal(error)) throw error;
    return {
      kind: 'refused',
      side: !isReading || error === writing.failure ? 'target' : 'source',
      error: error as Error,
    };
  } finally {
    writing.release();
    signal.removeEventListener('abort', onAbort);
  }
}
