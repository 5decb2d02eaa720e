/** Lets many loops pause, and wakes all of them at once. */
export class Wakeup {
  readonly #sleepers = new Set<() => void>();

  /** Ends every pause under way. */
  ring(): void {
    for (const wake of [...this.#sleepers]) wake();
  }

  /** Pauses for `ms`, or until it rings or `signal` aborts. */
  pause(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#sleepers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done, { once: true });
      this.#sleepers.add(done);
    });
  }
}
