import { setTimeout as sleep } from 'node:timers/promises';
import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleAll } from 'cockatiel';
import { TransformHeld } from './errors.ts';

/** Spaces calls evenly; several batches of a process wait in one line. */
export class Pace {
  readonly #everyMs: number;
  #next = 0;

  constructor(callsPerSecond: number) {
    this.#everyMs = 1000 / callsPerSecond;
  }

  /** Waits for the caller's turn. Throws the signal's reason on abort. */
  async turn(signal: AbortSignal): Promise<void> {
    const now = performance.now();
    const at = Math.max(this.#next, now);
    this.#next = at + this.#everyMs;
    if (at > now) await sleep(at - now, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** What a breaker does where nothing else is said. */
export const breakerDefaults = { failures: 5, heldMs: 10_000 };

/** When calls that wait for something are given up, and tried again. */
export interface BreakerOptions {
  /** Failures in a row after which no call is made. Defaults to 5. */
  failures?: number;
  /** Milliseconds until one call is tried. Defaults to 10_000. */
  heldMs?: number;
}

/** A circuit breaker around asynchronous calls of one flow's transform, for all batches of a process. */
export class Breaker {
  readonly #flow: string;
  readonly #failures: number;
  readonly #heldMs: number;
  readonly #policy;
  #until = new Date(0);

  constructor(flow: string, options: BreakerOptions = {}) {
    const { failures, heldMs } = { ...breakerDefaults, ...options };
    this.#flow = flow;
    this.#failures = failures;
    this.#heldMs = heldMs;
    this.#policy = circuitBreaker(handleAll, {
      breaker: new ConsecutiveBreaker(failures),
      halfOpenAfter: heldMs,
    });
    this.#policy.onBreak(() => {
      this.#until = new Date(Date.now() + heldMs);
    });
  }

  /**
   * Makes a call and hears how it ends; what comes after an abort says nothing. Throws what the call throws, and
   * TransformHeld while no call is made.
   */
  async guard<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
    let failure: { error: unknown } | undefined;
    const attempt = async (): Promise<T | undefined> => {
      try {
        return await call();
      } catch (error) {
        failure = { error };
        if (signal.aborted) return undefined;
        throw error;
      }
    };
    const result = await this.#policy.execute(attempt).catch((error) => {
      if (failure !== undefined) return undefined;
      if (this.#policy.state === CircuitState.Closed) throw error;
      throw new TransformHeld(this.#flow, this.#failures, this.#heldUntil());
    });
    if (failure !== undefined) throw failure.error;
    return result as T;
  }

  // While the one call is under way, others wait for another round.
  #heldUntil(): Date {
    return this.#until.getTime() > Date.now() ? this.#until : new Date(Date.now() + this.#heldMs);
  }
}
