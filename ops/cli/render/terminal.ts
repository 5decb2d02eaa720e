import type { WriteStream } from 'node:tty';
import { widthOf } from './text.ts';

const hideCursor = '\u001b[?25l';
const showCursor = '\u001b[?25h';
const clearToLineEnd = '\u001b[K';
const clearToScreenEnd = '\u001b[J';

/** Lines that are drawn over and over at the same place. */
export interface Region {
  /** Replaces what is shown. At most `stream.rows - 1` lines keep the screen from scrolling. */
  draw(lines: string[]): void;
  /** Leaves the last lines standing, with the cursor below them, visible again. */
  close(): void;
}

/**
 * Opens a region at the cursor. Each drawing is one write, so that nothing flickers. After the window has become
 * narrower the terminal has wrapped the old lines; their new height is taken into account.
 */
export function openRegion(stream: WriteStream): Region {
  let shown: string[] = [];
  let open = true;
  const restore = () => stream.write(showCursor);
  process.once('exit', restore);
  stream.write(hideCursor);

  const height = () =>
    shown.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / (stream.columns || 80))), 0);

  return {
    draw(lines) {
      if (!open) return;
      const up = Math.min(height(), (stream.rows || 24) - 1);
      const back = up > 0 ? `\u001b[${up}A\r` : '\r';
      stream.write(back + lines.map((line) => `${line}${clearToLineEnd}\n`).join('') + clearToScreenEnd);
      shown = lines;
    },
    close() {
      if (!open) return;
      open = false;
      process.removeListener('exit', restore);
      restore();
    },
  };
}
