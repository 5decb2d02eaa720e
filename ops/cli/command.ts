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
 * Wraps a command's work as a commander action: sets the process's exit code, and prints what was thrown.
 * Nothing below calls process.exit.
 */
export function perform<Args extends unknown[]>(
  work: (
    options: Args extends [...unknown[], infer O, unknown] ? O : never,
    ...args: unknown[]
  ) => Promise<ExitCode>,
): (...args: Args) => Promise<void> {
  return async (...args) => {
    const options = args.at(-2) as never;
    try {
      process.exitCode = await work(options, ...args.slice(0, -2));
    } catch (error) {
      process.exitCode = exitCodeOfError(error);
      const { json, color } = options as CommonOptions;
      printFailure(error, { json: json === true, color });
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
