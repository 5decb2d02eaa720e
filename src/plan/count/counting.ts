import { sqlState } from '../../pg/errors.ts';
import type { Session } from '../../pg/session.ts';
import { sqlStates } from '../../pg/sql-states.ts';
import type { Describer } from '../sql/describe.ts';

/** Seconds that counting rows on the source may take before a run, over all that is counted. */
export const countedWithin = 15;

/** What came of counting: `late` where the time is used up, `failed` where an expression fails for some row. */
export type Counted<T> = { kind: 'counted'; value: T } | { kind: 'late' } | { kind: 'failed' };

/** Counts rows on the source as long as the time for it lasts. */
export class Counting {
  readonly #describer: Describer;
  #left: number;

  constructor(describer: Describer, seconds = countedWithin) {
    this.#describer = describer;
    this.#left = seconds;
  }

  async count<T>(read: (session: Session) => Promise<T>): Promise<Counted<T>> {
    if (this.#left <= 0) return { kind: 'late' };
    const began = performance.now();
    const { value, error } = await this.#describer.within(this.#left, read);
    this.#left -= (performance.now() - began) / 1000;
    if (value !== undefined) return { kind: 'counted', value };
    return { kind: sqlState(error) === sqlStates.queryCanceled ? 'late' : 'failed' };
  }
}
