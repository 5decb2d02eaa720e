import { types } from 'node:util';
import { type RowPlace, TransformThrew } from './errors.ts';
import type { Transform } from './transform.ts';
import type { InputRow, TransformContext } from './types.ts';

type Argument = InputRow | InputRow[];

/** Whether a result is still to come. */
export const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function';

/** Settles with the promise, or with the signal's reason as soon as it is aborted. */
async function orAborted<T>(promise: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let onAbort!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Calls a transform's function for one batch, and says of what is thrown where and what it was. */
export class Caller {
  readonly #transform: Transform;
  readonly #signal: AbortSignal;
  readonly #context: TransformContext;
  readonly #place: () => RowPlace;
  readonly #isGuarded: boolean;
  /** Whether calls give promises, as far as is known. */
  #isAsync: boolean;

  /**
   * `place` tells which rows are being called with, when something is wrong with them; `isGuarded`: whether calls go by the
   * breaker, which cannot tell rows that fail from a service that does.
   */
  constructor(transform: Transform, signal: AbortSignal, place: () => RowPlace, isGuarded = true) {
    this.#transform = transform;
    this.#signal = signal;
    this.#place = place;
    this.#isGuarded = isGuarded;
    const { constants, idMap } = transform;
    this.#context = Object.freeze({ constants, idMap, signal });
    this.#isAsync = types.isAsyncFunction(transform.loaded.call);
  }

  /** Whether a call costs no more than its own time. */
  get isDirect(): boolean {
    return !this.#isAsync && this.#transform.pace === undefined;
  }

  /** What the function returns; a promise of it where calls are paced or asynchronous. Throws TransformThrew. */
  call(argument: Argument): unknown {
    if (!this.isDirect) return this.#guarded(argument);
    const result = this.#start(argument);
    if (!isPromise(result)) return result;
    this.#isAsync = true;
    return this.#guard(() => this.#settled(result));
  }

  async #guarded(argument: Argument): Promise<unknown> {
    await this.#transform.pace?.turn(this.#signal);
    const outcome = await this.#guard(async () => {
      let started: unknown;
      try {
        started = this.#start(argument);
      } catch (error) {
        return { error }; // Thrown before there was a promise: no service is to blame.
      }
      return { value: isPromise(started) ? await this.#settled(started) : started };
    });
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  #guard<T>(call: () => Promise<T>): Promise<T> {
    return this.#isGuarded ? this.#transform.breaker.guard(call, this.#signal) : call();
  }

  #start(argument: Argument): unknown {
    try {
      return this.#transform.loaded.call(argument, this.#context);
    } catch (error) {
      throw this.#threw(error, false);
    }
  }

  async #settled(promise: PromiseLike<unknown>): Promise<unknown> {
    try {
      return await orAborted(promise, this.#signal);
    } catch (error) {
      if (this.#signal.aborted) throw this.#signal.reason;
      throw this.#threw(error, true);
    }
  }

  #threw(error: unknown, isAsync: boolean): TransformThrew {
    const isError = error instanceof Error;
    const name = isError && /^[A-Za-z_$][\w$]{0,60}$/.test(error.name) ? error.name : 'Error';
    return new TransformThrew(this.#place(), {
      name: isError ? name : `a ${typeof error}`,
      frames: this.#transform.loaded.framesOf(error),
      message: isError ? String(error.message) : String(error),
      isAsync,
    });
  }
}
