import { setTimeout as sleep } from 'node:timers/promises';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { isConnectionLost } from '../../src/pg/errors.ts';
import { readProgress } from '../../src/progress/snapshot.ts';
import type { ProgressSnapshot } from '../../src/progress/types.ts';
import { type CommonOptions, emit } from './command.ts';
import { wantsColor } from './render/color.ts';
import { renderFrame } from './render/frame.ts';
import { renderLine } from './render/plain.ts';
import { openRegion } from './render/terminal.ts';

/** Shows one moment of a run after the other. */
interface View {
  show(snapshot: ProgressSnapshot): void;
  close(): void;
}

const plainEveryMs = 5_000;
const jsonEveryMs = 1_000;
const pollMs = 400;
const lostForMs = 60_000;

function terminalView(color: boolean): View {
  const { stdout } = process;
  const region = openRegion(stdout);
  let last: ProgressSnapshot | undefined;
  const draw = () => {
    if (last !== undefined) {
      // A terminal that does not know its size says 0.
      const [columns, rows] = [stdout.columns || 80, stdout.rows || 24];
      // Not the last column: clearing what lies behind a full line would take its last character.
      region.draw(renderFrame(last, { columns: columns - 1, rows: rows - 1, color }));
    }
  };
  stdout.on('resize', draw);
  return {
    show(snapshot) {
      last = snapshot;
      draw();
    },
    close() {
      stdout.removeListener('resize', draw);
      region.close();
    },
  };
}

/** Writes at changes of phase or state, and in between every `everyMs`. */
function lineView(everyMs: number, write: (snapshot: ProgressSnapshot) => void): View {
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
    close() {},
  };
}

function openView(options: CommonOptions): View {
  if (options.json === true) return lineView(jsonEveryMs, (snapshot) => emit('progress', snapshot));
  if (process.stdout.isTTY && process.env.TERM !== 'dumb')
    return terminalView(wantsColor(process.stdout, options.color));
  return lineView(plainEveryMs, (snapshot) => process.stdout.write(`${renderLine(snapshot)}\n`));
}

/** The next moment of the run; a ledger that cannot be reached is asked again for a minute before that is an error. */
async function nextSnapshot(ledger: Ledger, runId: string, signal: AbortSignal): Promise<ProgressSnapshot> {
  const giveUpAt = Date.now() + lostForMs;
  for (;;) {
    try {
      return await readProgress(ledger, runId);
    } catch (error) {
      if (!isConnectionLost(error) || Date.now() > giveUpAt || signal.aborted) throw error;
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
  options: CommonOptions,
  signal: AbortSignal,
): Promise<ProgressSnapshot> {
  const view = openView(options);
  try {
    for (;;) {
      const snapshot = await nextSnapshot(ledger, runId, signal);
      view.show(snapshot);
      const goesOn = snapshot.run.state === 'running' || snapshot.run.state === 'cancelling';
      if (!goesOn || signal.aborted) return snapshot;
      await sleep(pollMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    view.close();
  }
}
