import { barrier } from '../barrier.ts';
import { isRefusal } from '../pg/failure-class.ts';
import { CopyIn } from './copy-in.ts';
import { CopyOut } from './copy-out.ts';
import type { RelayOptions, RelayOutcome, RelaySide, RelayTally, RelayTarget } from './relay-types.ts';
import { submit } from './submit.ts';
import { relayThrough } from './through.ts';

interface Pipe {
  out: CopyOut;
  into: CopyIn;
  bytes(): number;
  destroy(error: Error): void;
}

function openPipe(source: RelaySide, target: RelaySide, options: RelayOptions): Pipe {
  let bytes = 0;
  const into = new CopyIn(target.statement, () => out.resume());
  const out: CopyOut = new CopyOut(source.statement, (frames) => {
    bytes += frames.length;
    options.onBytes?.(frames.length);
    if (!into.write(frames)) out.pause();
  });
  const destroy = (error: Error) => {
    out.destroy(error);
    into.destroy(error);
  };
  return { out, into, bytes: () => bytes, destroy };
}

/**
 * Runs `copy` over an open pipe with back-pressure: memory is bounded by two socket buffers, whatever the size of a
 * row. When it throws, and on abort, both sessions are destroyed, which rolls their transactions back.
 */
async function withPipe<T>(
  source: RelaySide,
  target: RelaySide,
  options: RelayOptions,
  copy: (pipe: Pipe) => Promise<T>,
): Promise<T> {
  const pipe = openPipe(source, target, options);
  const onAbort = () => pipe.destroy(options.signal.reason);
  options.signal.throwIfAborted();
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    submit(target.session, pipe.into);
    return await copy(pipe);
  } catch (error) {
    pipe.destroy(error as Error);
    throw options.signal.aborted ? options.signal.reason : error;
  } finally {
    pipe.into.release();
    options.signal.removeEventListener('abort', onAbort);
  }
}

/** Pipes one COPY from the source's socket to the target's. On any failure both sessions are destroyed. */
export async function relay(
  source: RelaySide,
  target: RelayTarget,
  options: RelayOptions,
): Promise<RelayTally> {
  const { through } = options;
  if (through !== undefined) {
    const outcome = await relayThrough(source, target, through, { ...options, tolerant: false });
    if (outcome.kind === 'refused') throw outcome.error;
    return outcome;
  }
  return withPipe(source, target, options, async ({ out, into, bytes }) => {
    await into.ready;
    submit(source.session, out);
    await barrier('copy.load');
    const rowsOut = await Promise.race([out.done, into.done.then(() => out.done)]);
    into.end();
    return { rowsOut, rowsIn: await into.done, bytes: bytes() };
  });
}

/** Throws what leaves no session to go on with. */
function refusedBy(side: 'source' | 'target', error: unknown): RelayOutcome {
  if (!isRefusal(error)) throw error;
  return { kind: 'refused', side, error: error as Error };
}

/**
 * Like `relay`, but when a server refuses, both sessions stay and can go back to a savepoint. The target is drained of
 * what the source still sends, so this is for small ranges.
 */
export function tryRelay(
  source: RelaySide,
  target: RelayTarget,
  options: RelayOptions,
): Promise<RelayOutcome> {
  const { through } = options;
  if (through !== undefined) return relayThrough(source, target, through, { ...options, tolerant: true });
  return withPipe(source, target, options, async ({ out, into, bytes }) => {
    try {
      await into.ready;
    } catch (error) {
      return refusedBy('target', error);
    }
    submit(source.session, out);
    // Nothing drains into a session that is gone; a refusal alone must not end the source's stream.
    const lost = new Promise<never>((_, reject) => {
      into.done.catch((error) => {
        if (!isRefusal(error)) reject(error);
      });
    });
    let rowsOut: number;
    try {
      rowsOut = await Promise.race([out.done, lost]);
    } catch (error) {
      const outcome = refusedBy('source', error);
      into.fail('the source refused');
      await into.done.catch(() => {});
      return outcome;
    }
    try {
      into.end();
      return { kind: 'copied', rowsOut, rowsIn: await into.done, bytes: bytes() };
    } catch (error) {
      return refusedBy('target', error);
    }
  });
}
