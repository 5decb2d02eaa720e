import type { WriteStream } from 'node:tty';

/** How wide lines may be: what a terminal shows, and as long as they are where nobody cuts them. */
export const columnsOf = (stream: Pick<WriteStream, 'isTTY' | 'columns'>): number =>
  stream.isTTY ? stream.columns || 80 : Number.POSITIVE_INFINITY;
