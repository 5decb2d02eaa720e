import { type CircuitBreakerPolicy, CircuitState, circuitBreaker, handleAll, type IBreaker } from 'cockatiel';

/** Failures since the last success. */
export interface Streak {
  failures: number;
  /** Milliseconds since the epoch. */
  since: number;
  /** The latest failure, in words. */
  last: string;
}

/** One circuit breaker, told of outcomes while it is closed; while it is open, its probe finds out when to close. */
export class Circuit {
  readonly #policy: CircuitBreakerPolicy;
  readonly #probe: () => Promise<void>;
  #streak: Streak | undefined;
  #probing: Promise<void> | undefined;

  /** `breaker` says when to open; `probe` is tried every `probeEveryMs`, and throws as long as nothing is better. */
  constructor(breaker: IBreaker, probe: () => Promise<void>, probeEveryMs: number) {
    this.#policy = circuitBreaker(handleAll, { breaker, halfOpenAfter: probeEveryMs });
    this.#probe = probe;
  }

  get isOpen(): boolean {
    return this.#policy.state !== CircuitState.Closed;
  }

  get streak(): Streak {
    return this.#streak ?? { failures: 0, since: Date.now(), last: '' };
  }

  /** Hears of an outcome: what failed, or null for a success. What comes in while it is open decides nothing. */
  async hear(failure: string | null, at = Date.now()): Promise<void> {
    if (this.isOpen) return;
    if (failure === null) this.#streak = undefined;
    else
      this.#streak = { failures: this.streak.failures + 1, since: this.#streak?.since ?? at, last: failure };
    const outcome = () => {
      if (failure !== null) throw new Error(failure);
    };
    await this.#policy.execute(outcome).catch(() => {});
  }

  /** Opens it without a reason of its own: it was open when the last process left. */
  async open(reason: string): Promise<void> {
    while (!this.isOpen) await this.hear(reason);
  }

  /** Begins the probe where it is due; at most one is under way. Does not wait for it. */
  probe(): void {
    if (!this.isOpen || this.#probing !== undefined) return;
    this.#probing = this.#policy
      .execute(this.#probe)
      .then(
        () => {
          this.#streak = undefined;
        },
        () => {}, // Not due yet, or nothing is better yet.
      )
      .finally(() => {
        this.#probing = undefined;
      });
  }
}
