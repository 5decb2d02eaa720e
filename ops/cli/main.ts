#!/usr/bin/env node
import { CommanderError } from 'commander';
import { usageError } from '../../src/errors.ts';
import { exitCode } from './exit-code.ts';
import { exitCodeOfError, printFailure } from './failure.ts';
import { buildProgram } from './program.ts';

/** How long open handles (a queue whose server is gone, say) may keep a finished command alive. */
const lingerMs = 2_000;

/** Runs the command line. Commander has printed its own errors by the time they arrive here. */
async function main(argv: string[]): Promise<void> {
  const json = argv.includes('--json');
  const program = buildProgram();
  if (json) for (const one of [program, ...program.commands]) one.configureOutput({ writeErr: () => {} });
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      process.exitCode = exitCodeOfError(error);
      printFailure(error, { json, color: true });
      return;
    }
    // `--help` and `--version` arrive here too, with 0.
    process.exitCode = error.exitCode === 0 ? exitCode.verified : exitCode.usage;
    if (json && error.exitCode !== 0) {
      const message = error.message.replace(/^error: /, '');
      printFailure(usageError('USAGE', message, 'rowfleet --help'), { json, color: false });
    }
  }
}

// A reader that has seen enough (`rowfleet status | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

await main(process.argv);
setTimeout(() => process.exit(), lingerMs).unref();
