/** What Ctrl-C and SIGTERM do to a command. */
export interface Interruption {
  /** Aborts at the first signal: end in good order. */
  signal: AbortSignal;
  /** Stops listening. */
  release(): void;
}

/**
 * Listens for SIGINT and SIGTERM: the first aborts `signal`, the second calls `force` (defaults to ending the
 * process at once with 130). In a process that a fleet started, the end of its parent counts as a signal too,
 * so that no worker outlives a parent that was killed.
 */
export function onInterruption(force: () => void = () => process.exit(130)): Interruption {
  const controller = new AbortController();
  const interrupt = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) force();
    else controller.abort(new Error(name));
  };
  const orphaned = () => controller.abort(new Error('the parent process has gone'));
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  if (process.connected) {
    process.on('disconnect', orphaned);
    process.channel?.unref(); // The pipe to the parent alone does not keep this process alive.
  }
  return {
    signal: controller.signal,
    release() {
      process.removeListener('SIGINT', interrupt);
      process.removeListener('SIGTERM', interrupt);
      process.removeListener('disconnect', orphaned);
    },
  };
}
