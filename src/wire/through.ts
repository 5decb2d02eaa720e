import { barrier } from '../barrier.ts';
import { RowfleetError } from '../errors.ts';
import { isRefusal } from '../pg/failure-class.ts';
import { CopyIn } from './copy-in.ts';
import { type Filled, Filling } from './filling.ts';
import type { OpenStage, RelayOptions, RelayOutcome, RelaySide } from './relay-types.ts';
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

/** The target's COPY as a stage writes to it. */
class Writing {
  readonly into: CopyIn;
  failure: Error | undefined;
  #wake = () => {};

  constructor(statement: string) {
    this.into = new CopyIn(statement, () => this.#wake());
    this.into.done.catch((error) => {
      this.failure = error;
      this.#wake();
    });
  }

  write = async (frames: Buffer): Promise<void> => {
    if (this.failure !== undefined) throw this.failure;
    if (this.into.write(frames)) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (this.failure !== undefined) throw this.failure;
  };

  /** Ends the COPY without its rows, so that the session can be used again. */
  async giveUp(): Promise<void> {
    if (this.failure === undefined) this.into.fail('given up');
    await this.into.done.catch(() => {});
  }
}

/**
 * Runs one COPY of the source through a stage into one of the target. Memory is bounded by a few megabytes, by what the stage
 * holds, and by the largest row. Where a server or the stage refuses, `tolerant` leaves both sessions to go back to a
 * savepoint; else, and on abort, both are destroyed.
 */
export async function relayThrough(
  source: RelaySide,
  target: RelaySide,
  open: OpenStage,
  options: RelayOptions & { tolerant: boolean },
): Promise<RelayOutcome> {
  const { signal, tolerant, onBytes = () => {} } = options;
  const frames = new Frames();
  const filling = new Filling(source.statement, frames, onBytes, 1); // the target's COPY is open: nothing is gained by waiting
  const writing = new Writing(target.statement);
  const { into } = writing;
  const destroy = (error: Error) => {
    filling.out.destroy(error);
    into.destroy(error);
  };
  const onAbort = () => destroy(signal.reason);
  signal.throwIfAborted();
  signal.addEventListener('abort', onAbort, { once: true });
  let isReading = false;
  try {
    submit(target.session, into);
    await into.ready;
    isReading = true;
    submit(source.session, filling.out);
    await barrier('copy.load');
    const stage = open(writing.write);
    for (let last = false; !last; ) {
      await filling.some();
      if (filling.failure !== undefined) throw filling.failure;
      last = filling.ended;
      const some = frames.drain();
      filling.out.resume();
      for (const each of some) await stage.push(each);
    }
    await stage.end();
    into.end();
    return {
      kind: 'copied',
      rowsOut: stage.tally.rowsOut,
      rowsIn: await into.done,
      bytes: filling.bytes,
    };
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
    into.release();
    signal.removeEventListener('abort', onAbort);
  }
}
