import { CommanderError } from 'commander';
import { usageError } from '../../src/errors.ts';
import { exitCode } from './exit-code.ts';
import { exitCodeOfError, printFailure } from './failure.ts';
import { buildProgram } from './program.ts';

/** Runs one command line (`argv` as in process.argv) and sets the process's exit code. Never throws. */
export async function runCommandLine(argv: string[]): Promise<void> {
  const json = argv.includes('--json');
  const program = buildProgram();
  // Commander prints its own errors for people; with --json they are printed here.
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
