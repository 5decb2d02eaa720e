import { sqlState } from '../../pg/errors.ts';
import type { Session } from '../../pg/session.ts';
import { sqlStates } from '../../pg/sql-states.ts';
import type { Describer } from '../sql/describe.ts';
import type { SourceCounts } from './source-counts.ts';

/** How rows are counted before a run, and who is told. */
export interface CountOptions {
  /** Seconds over all that is counted, `countedWithin` by default; 0 counts nothing. */
  seconds?: number;
  /** Counting begins: what is looked for, in so many seconds at most. */
  onBegin?: (what: string, seconds: number) => void;
  /** What the join of a flow does to driving rows. */
  onJoin?: (flow: string, counts: SourceCounts) => void;
}

/** Seconds that counting rows on the source may take before a run, over all that is counted. */
export const countedWithin = 15;

/** What came of counting: `late` where the time is used up, `failed` where an expression fails for some row. */
export type Counted<T> = { kind: 'counted'; value: T } | { kind: 'late' } | { kind: 'failed' };

/** Counts rows on the source as long as the time for it lasts. */
export class Counting {
  readonly #describer: Describer;
  #left: number;
  readonly #onBegin: CountOptions['onBegin'];

  constructor(describer: Describer, { seconds = countedWithin, onBegin }: CountOptions = {}) {
    this.#describer = describer;
    this.#left = seconds;
    this.#onBegin = onBegin;
  }

  /** @param what is looked for: `rows that the join of orders loses or multiplies` */
  async count<T>(what: string, read: (session: Session) => Promise<T>): Promise<Counted<T>> {
    if (this.#left <= 0) return { kind: 'late' };
    this.#onBegin?.(what, Math.ceil(this.#left));
    const began = performance.now();
    const { value, error } = await this.#describer.within(this.#left, read);
    this.#left -= (performance.now() - began) / 1000;
    if (value !== undefined) return { kind: 'counted', value };
    return { kind: sqlState(error) === sqlStates.queryCanceled ? 'late' : 'failed' };
  }
}
