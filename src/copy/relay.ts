import type pg from 'pg';
import { barrier } from '../barrier.ts';
import type { Session } from '../pg/session.ts';
import { CopyIn } from './copy-in.ts';
import { CopyOut } from './copy-out.ts';

export interface RelayTally {
  rowsOut: number;
  rowsIn: number;
  bytes: number;
}

const submit = (session: Session, query: CopyIn | CopyOut): void => {
  session.query(query as unknown as pg.Submittable);
};

/**
 * Pipes one COPY from the source's socket to the target's, with back-pressure: memory is bounded by two
 * socket buffers, whatever the size of a row. `onBytes` hears of every chunk. On any failure and on abort
 * both sessions are destroyed, which rolls their transactions back; the first error is thrown.
 */
export async function relay(
  source: { session: Session; statement: string },
  target: { session: Session; statement: string },
  options: { signal: AbortSignal; onBytes?: (bytes: number) => void },
): Promise<RelayTally> {
  let bytes = 0;
  const into = new CopyIn(target.statement);
  const out = new CopyOut(source.statement, (frames) => {
    bytes += frames.length;
    options.onBytes?.(frames.length);
    if (!into.write(frames)) out.pause();
  });
  const destroy = (error: Error) => {
    out.destroy(error);
    into.destroy(error);
  };
  const onAbort = () => destroy(options.signal.reason);
  options.signal.throwIfAborted();
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    submit(target.session, into);
    await into.ready;
    into.onDrain(() => out.resume());
    submit(source.session, out);
    await barrier('copy.load');
    const rowsOut = await Promise.race([out.done, into.done.then(() => out.done)]);
    into.end();
    return { rowsOut, rowsIn: await into.done, bytes };
  } catch (error) {
    destroy(error as Error);
    throw options.signal.aborted ? options.signal.reason : error;
  } finally {
    options.signal.removeEventListener('abort', onAbort);
  }
}
