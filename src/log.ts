import { type Logger, pino } from 'pino';

export type { Logger };

/**
 * The log of one process: one JSON line an event on stderr, never a row value.
 * Level from LOG_LEVEL; defaults to `info`.
 */
export function createLogger(name: string): Logger {
  return pino(
    { name, level: process.env.LOG_LEVEL ?? 'info', base: { pid: process.pid } },
    pino.destination({ dest: 2, sync: true }),
  );
}
