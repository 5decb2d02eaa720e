#!/usr/bin/env node
import { runCommandLine } from './run.ts';

/** How long open handles (a queue whose server is gone, say) may keep a finished command alive. */
const lingerMs = 2_000;

// A reader that has seen enough (`rowfleet status | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

await runCommandLine(process.argv);
setTimeout(() => process.exit(), lingerMs).unref();
