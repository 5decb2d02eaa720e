export type Paint = (text: string) => string;

/** Colours by meaning. Without colour each leaves its text alone. */
export interface Palette {
  good: Paint;
  bad: Paint;
  warn: Paint;
  dim: Paint;
  strong: Paint;
}

const wrap =
  (open: number, close: number): Paint =>
  (text) =>
    `\u001b[${open}m${text}\u001b[${close}m`;

const plain: Paint = (text) => text;

/** The palette for an output that shows colours, or not. */
export function palette(color: boolean): Palette {
  if (!color) return { good: plain, bad: plain, warn: plain, dim: plain, strong: plain };
  return { good: wrap(32, 39), bad: wrap(31, 39), warn: wrap(33, 39), dim: wrap(2, 22), strong: wrap(1, 22) };
}

/** Whether to colour `stream`: only a terminal, unless NO_COLOR (https://no-color.org), TERM=dumb or --no-color. */
export function wantsColor(stream: { isTTY?: boolean }, option: boolean): boolean {
  const refused = (process.env.NO_COLOR ?? '') !== '' || process.env.TERM === 'dumb';
  return option && stream.isTTY === true && !refused;
}
