import type { WriteStream } from 'node:tty';
import { wrap } from './text.ts';

/** How wide lines may be: what a terminal shows, and as long as they are where nobody cuts them. */
export const columnsOf = (stream: Pick<WriteStream, 'isTTY' | 'columns'>): number =>
  stream.isTTY ? stream.columns || 80 : Number.POSITIVE_INFINITY;

/** Writes lines for people: as wide as the terminal, and as long as they are where nobody cuts them. */
export function writeWrapped(
  stream: Pick<WriteStream, 'isTTY' | 'columns' | 'write'>,
  lines: string[],
): void {
  const wrapped = lines.flatMap((line) => wrap(line, columnsOf(stream)));
  stream.write(`${wrapped.join('\n')}\n`);
}
