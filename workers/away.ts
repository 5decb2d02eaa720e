import { RowfleetError } from '../src/errors.ts';

/**
 * What is wrong is this process's own: it cannot tell a run's source, is refused there, or is led to another one. Others
 * may well do the work.
 */
export class OwnTrouble extends RowfleetError {
  constructor(message: string, cause?: unknown) {
    super('OWN_ENVIRONMENT', message, { cause });
    this.name = 'OwnTrouble';
  }
}

/** Until it tries again: a server may have been mended. */
const awayMs = 30_000;

/** The runs whose tasks a process leaves to others for a while, because of what is wrong with its own surroundings. */
export class Away {
  readonly #runs = new Map<string, { reason: string; until: number }>();

  /** Leaves a run's tasks to others; tells whether that is new. */
  leave(runId: string, reason: string, now = Date.now()): boolean {
    const isNew = this.#runs.get(runId)?.reason !== reason;
    this.#runs.set(runId, { reason, until: now + awayMs });
    return isNew;
  }

  /** Hears that work on a run succeeded, or at least began. */
  isBack(runId: string): void {
    this.#runs.delete(runId);
  }

  /** Whether a run's tasks are left to others now. */
  isFrom(runId: string, now = Date.now()): boolean {
    return (this.#runs.get(runId)?.until ?? 0) > now;
  }

  /** By run, why; for as long as it is not known to be better, and for a while where nothing is tried. */
  reasons(now = Date.now()): Record<string, string> {
    for (const [runId, { until }] of this.#runs) if (until + awayMs < now) this.#runs.delete(runId);
    return Object.fromEntries([...this.#runs].map(([runId, { reason }]) => [runId, reason]));
  }
}
