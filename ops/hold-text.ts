import type { Hold } from '../src/ledger/holds.ts';
import { duration, timeOfDay } from './units.ts';

/** What holds a run or one of its flows back, since when and why: `held since 02:14:07 (3:20): paused by ops@db1`. */
export function holdText(hold: Hold, at: Date): string {
  const seconds = (at.getTime() - hold.since.getTime()) / 1000;
  const what = hold.flow === null ? 'held' : `flow ${hold.flow} held`;
  return `${what} since ${timeOfDay(hold.since)} (${duration(seconds)}): ${hold.reason}`;
}
