import {
  type CircuitBreakerPolicy,
  CircuitState,
  circuitBreaker,
  handleAll,
  type IBreaker,
  IterableBackoff,
  isBrokenCircuitError,
} from 'cockatiel';

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
  readonly #isDoubted: boolean;
  #hasProbeFailed = false;

  /**
   * `breaker` says when to open; `probe` is tried every `probeEveryMs`, and throws as long as nothing is better. A circuit
   * `isDoubted` where those who tell of failures may be in trouble of their own: it is probed at once, and open only
   * when that fails too.
   */
  constructor(breaker: IBreaker, probe: () => Promise<void>, probeEveryMs: number, isDoubted = false) {
    const halfOpenAfter = isDoubted ? new IterableBackoff([0, probeEveryMs]) : probeEveryMs;
    this.#policy = circuitBreaker(handleAll, { breaker, halfOpenAfter });
    this.#probe = probe;
    this.#isDoubted = isDoubted;
  }

  get #hears(): boolean {
    return this.#policy.state === CircuitState.Closed;
  }

  get isOpen(): boolean {
    return !this.#hears && (this.#hasProbeFailed || !this.#isDoubted);
  }

  get streak(): Streak {
    return this.#streak ?? { failures: 0, since: Date.now(), last: '' };
  }

  /** Hears of an outcome: what failed, or null for a success. What comes in while it is open decides nothing. */
  async hear(failure: string | null, at = Date.now()): Promise<void> {
    if (!this.#hears) return;
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
    while (this.#hears) await this.hear(reason);
    this.#hasProbeFailed = true;
  }

  /** Begins the probe where it is due; at most one is under way. Does not wait for it. */
  probe(): void {
    if (this.#hears || this.#probing !== undefined) return;
    this.#probing = this.#policy
      .execute(this.#probe)
      .then(
        () => {
          this.#streak = undefined;
          this.#hasProbeFailed = false;
        },
        (error) => {
          this.#hasProbeFailed ||= !isBrokenCircuitError(error); // Which says that it is not due yet.
        },
      )
      .finally(() => {
        this.#probing = undefined;
      });
  }
}
