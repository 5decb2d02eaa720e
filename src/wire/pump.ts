import { barrier } from '../barrier.ts';
import { isRefusal } from '../pg/failure-class.ts';
import type { Session } from '../pg/session.ts';
import { envelope } from './binary-format.ts';
import { CopyIn } from './copy-in.ts';
import { Filling } from './filling.ts';
import type { DrainedRows } from './frame-writer.ts';
import type { CopyFormat, RelayOptions, RelaySide } from './relay-types.ts';
import { submit } from './submit.ts';

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
  format: CopyFormat;
}

/** What each output was given and took. */
export interface PumpTally {
  outputs: { rowsOut: number; rowsIn: number }[];
  bytes: number;
}

export type PumpOutcome =
  | ({ kind: 'copied' } & PumpTally)
  | { kind: 'refused'; side: 'source' | 'target'; error: Error };

/** Runs one COPY … FROM STDIN over frames that are there. */
async function copyInto(
  session: Session,
  inlet: Inlet,
  { frames, rowsBefore }: { frames: Buffer[]; rowsBefore: number },
  opened: (into: CopyIn) => void,
): Promise<number> {
  const into = new CopyIn(inlet.statement, () => {}, rowsBefore);
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
        const output = outputs[i]!;
        const turn = { frames, rowsBefore: output.rowsIn };
        output.rowsOut += rows;
        output.rowsIn += await copyInto(target.session, target.inlets[i]!, turn, (opened) => {
          into = opened;
        });
        await barrier('copy.load');
      }
    }
    return { kind: 'copied', outputs, bytes: filling.bytes };
  } catch (error) {
    const refused = options.tolerant && !options.signal.aborted && isRefusal(error);
    if (refused && side === 'target') await filling.discard();
    // The source may have been lost, or given up, while it was let go by.
    const lost = filling.failure !== undefined && !isRefusal(filling.failure);
    if (refused && !options.signal.aborted && !lost) return { kind: 'refused', side, error: error as Error };
    destroy(error as Error);
    if (refused && !options.signal.aborted) throw filling.failure;
    throw options.signal.aborted ? options.signal.reason : error;
  } finally {
    options.signal.removeEventListener('abort', onAbort);
  }
}
