import { usageError } from '../../src/errors.ts';
import { type CommonOptions, perform } from './command.ts';
import { type ExitCode, exitCode } from './exit-code.ts';
import { onInterruption } from './interruption.ts';
import { targetUrlFromEnvironment } from './target-url.ts';

/** What each process of the fleet is told: where the databases are, and when to stop. */
export interface ProcessContext {
  targetUrl: string;
  queueUrl: string | undefined;
  signal: AbortSignal;
}

/** A whole number from the command line, within bounds. Throws a usage error that names the option. */
export function wholeNumber(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw usageError('OPTION_INVALID', `${option} must be a whole number from ${min} to ${max}, not "${text}"`);
}

/**
 * The action of a command that runs until it is told to stop. SIGTERM and Ctrl-C end it in good order with 0; a fleet
 * process whose parent has gone ends too.
 */
export function serve<O extends CommonOptions>(
  run: (context: ProcessContext, options: O) => Promise<void>,
): (...commander: unknown[]) => Promise<void> {
  return perform(async (options: O): Promise<ExitCode> => {
    const targetUrl = targetUrlFromEnvironment();
    const interruption = onInterruption();
    try {
      await run(
        { targetUrl, queueUrl: process.env.QUEUE_URL || undefined, signal: interruption.signal },
        options,
      );
    } finally {
      interruption.release();
    }
    return exitCode.verified;
  });
}

/** The port of --metrics-port, checked; undefined for none. */
export function metricsPortOf(options: { metricsPort?: string }): number | undefined {
  return options.metricsPort === undefined
    ? undefined
    : wholeNumber('--metrics-port', options.metricsPort, 1, 65_535);
}
