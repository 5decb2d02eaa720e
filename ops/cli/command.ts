import type { Command } from 'commander';
import type { ExitCode } from './exit-code.ts';
import { exitCodeOfError, printFailure } from './failure.ts';

/** Options that every command takes. */
export interface CommonOptions {
  json?: boolean;
  /** False with --no-color. */
  color: boolean;
}

/** Adds the options that every command takes. */
export function withCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print machine-readable JSON lines')
    .option('--no-color', 'print without colours (so does NO_COLOR=1)');
}

/** Adds `-c, --config <plan.yaml>`, required. */
export function withPlanOption(command: Command): Command {
  return command.requiredOption('-c, --config <plan.yaml>', 'the plan');
}

/**
 * Wraps a command's work as a commander action: the options come first, then the arguments. Sets the process's exit
 * code and prints what was thrown; nothing below calls process.exit.
 */
export function perform<O extends CommonOptions, A extends unknown[] = (string | undefined)[]>(
  work: (options: O, ...args: A) => Promise<ExitCode>,
): (...commander: unknown[]) => Promise<void> {
  return async (...commander) => {
    // Commander passes the arguments, then the options, then the command itself.
    const options = commander.at(-2) as O;
    try {
      process.exitCode = await work(options, ...(commander.slice(0, -2) as A));
    } catch (error) {
      process.exitCode = exitCodeOfError(error);
      printFailure(error, { json: options.json === true, color: options.color });
    }
  };
}

/** Writes one JSON line to stdout: `{"type": …, …}`. */
export function emit(type: string, value: object): void {
  process.stdout.write(`${JSON.stringify({ type, ...value })}\n`);
}

/** Writes lines for people to stdout. */
export function say(...lines: string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
