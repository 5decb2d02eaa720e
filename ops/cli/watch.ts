import { setTimeout as sleep } from 'node:timers/promises';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { isConnectionLost } from '../../src/pg/errors.ts';
import { readProgress } from '../../src/progress/snapshot.ts';
import type { ProgressSnapshot } from '../../src/progress/types.ts';
import { timeOfDay } from '../units.ts';
import { type CommonOptions, emit } from './command.ts';
import { palette, wantsColor } from './render/color.ts';
import { renderFrame } from './render/frame.ts';
import { renderLine } from './render/plain.ts';
import { openRegion } from './render/terminal.ts';
import { shorten } from './render/text.ts';

/** How a run is watched. */
export interface WatchOptions extends CommonOptions {
  /** The command has just started a fleet for it, of so many kinds of processes. */
  starts?: number;
}

/** Shows one moment of a run after the other. */
interface View {
  show(snapshot: ProgressSnapshot): void;
  /** Says that nothing can be shown for now, and why; and when it can again. */
  lose(reason: string): void;
  find(): void;
  close(): void;
}

const plainEveryMs = 5_000;
const jsonEveryMs = 1_000;
const pollMs = 400;
const lostForMs = 60_000;

/** For so long a fleet that has just been started may be incomplete. */
const startsForMs = 15_000;

/** A run whose own fleet is not all there yet waits for nobody to start one. */
function whileStarting(snapshot: ProgressSnapshot, starts: number): ProgressSnapshot {
  const kinds = new Set(snapshot.workers.map(({ kind }) => kind));
  if (snapshot.waiting === null || kinds.size >= starts) return snapshot;
  return { ...snapshot, waiting: 'for its fleet, which is starting' };
}

function terminalView(color: boolean): View {
  const { stdout } = process;
  const region = openRegion(stdout);
  let last: ProgressSnapshot | undefined;
  let lost: string[] = [];
  const draw = () => {
    // A terminal that does not know its size says 0. Not the last column: clearing what lies behind a full line would
    // take its last character.
    const [columns, rows] = [(stdout.columns || 80) - 1, (stdout.rows || 24) - 1 - lost.length];
    const frame = last === undefined ? [] : renderFrame(last, { columns, rows, color });
    region.draw([...frame, ...lost.map((line) => palette(color).warn(shorten(line, columns)))]);
  };
  stdout.on('resize', draw);
  return {
    show(snapshot) {
      last = snapshot;
      draw();
    },
    lose(reason) {
      lost = [reason];
      draw();
    },
    find() {
      lost = [];
    },
    close() {
      stdout.removeListener('resize', draw);
      region.close();
    },
  };
}

/** Writes at changes of phase or state, and in between every `everyMs`. */
function lineView(
  everyMs: number,
  write: (snapshot: ProgressSnapshot) => void,
  tell: (reason: string | null) => void,
): View {
  let wroteAt = 0;
  let standing = '';
  return {
    show(snapshot) {
      const { phase, state } = snapshot.run;
      const held = snapshot.holds.map(({ flow, cause }) => `${flow} ${cause}`).join();
      const now = `${phase} ${state} ${snapshot.waiting} ${held}`;
      if (now === standing && Date.now() - wroteAt < everyMs) return;
      standing = now;
      wroteAt = Date.now();
      write(snapshot);
    },
    lose: tell,
    find: () => tell(null),
    close() {},
  };
}

function openView(runId: string, options: CommonOptions): View {
  if (options.json === true) {
    const tell = (reason: string | null) =>
      emit(reason === null ? 'reached' : 'unreachable', { run: runId, reason });
    return lineView(jsonEveryMs, (snapshot) => emit('progress', snapshot), tell);
  }
  if (process.stdout.isTTY && process.env.TERM !== 'dumb')
    return terminalView(wantsColor(process.stdout, options.color));
  const line = (text: string) => void process.stdout.write(`${text}\n`);
  const tell = (reason: string | null) =>
    line(`${timeOfDay(new Date())}  run ${runId}  ${reason ?? 'the target answers again'}`);
  return lineView(plainEveryMs, (snapshot) => line(renderLine(snapshot)), tell);
}

/** The next moment of the run; a ledger that cannot be reached is asked again for a minute before that is an error. */
async function nextSnapshot(
  ledger: Ledger,
  runId: string,
  signal: AbortSignal,
  view: View,
): Promise<ProgressSnapshot> {
  const giveUpAt = Date.now() + lostForMs;
  for (let lost = false; ; lost = true) {
    try {
      const snapshot = await readProgress(ledger, runId);
      if (lost) view.find();
      return snapshot;
    } catch (error) {
      if (!isConnectionLost(error) || Date.now() > giveUpAt || signal.aborted) throw error;
      if (!lost) view.lose(`cannot reach the target ${ledger.endpoint.label}: trying again`);
      await sleep(1_000, undefined, { signal }).catch(() => {});
    }
  }
}

/**
 * Shows a run's progress until it goes on no more, or `signal` aborts; returns its last moment. In a terminal it is
 * drawn in place, elsewhere it is a line every few seconds and at each change, with `json` a JSON line a second.
 */
export async function watchRun(
  ledger: Ledger,
  runId: string,
  options: WatchOptions,
  signal: AbortSignal,
): Promise<ProgressSnapshot> {
  const view = openView(runId, options);
  const beganAt = Date.now();
  try {
    for (;;) {
      const snapshot = await nextSnapshot(ledger, runId, signal, view);
      const starts = Date.now() - beganAt < startsForMs ? (options.starts ?? 0) : 0;
      view.show(whileStarting(snapshot, starts));
      const goesOn = snapshot.run.state === 'running' || snapshot.run.state === 'cancelling';
      if (!goesOn || signal.aborted) return snapshot;
      await sleep(pollMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    view.close();
  }
}
