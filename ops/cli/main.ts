#!/usr/bin/env node

/** From the first moment on, also while the modules are loaded; what takes signals itself comes after this one. */
function onEarlySignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  const begins = ['migrate', 'resume', 'validate', 'cancel'].includes(process.argv[2] ?? '');
  process.stderr.write(`interrupted${begins ? ': `rowfleet status` shows what was begun' : ''}\n`);
  process.exit(130);
}
process.on('SIGINT', onEarlySignal);
process.on('SIGTERM', onEarlySignal);

/** How long open handles (a queue whose server is gone, say) may keep a finished command alive. */
const lingerMs = 2_000;

// A reader that has seen enough (`rowfleet status | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

const { runCommandLine } = await import('./run.ts');
await runCommandLine(process.argv);
setTimeout(() => process.exit(), lingerMs).unref();
