import type { Command } from 'commander';
import { type CommonOptions, withCommonOptions } from '../command.ts';
import { metricsPortOf, serve, wholeNumber } from '../serve.ts';

interface LoaderOptions extends CommonOptions {
  concurrency: string;
  metricsPort?: string;
}

/** `rowfleet loader`: copies batches and builds indexes; joins and leaves the fleet at any time. */
export function addLoader(program: Command): void {
  const command = program
    .command('loader')
    .summary('run a loader of the fleet')
    .description(
      'Copies batches and builds indexes for every run of the target. Loaders may join and leave in the middle of a run. ' +
        'Reads TARGET_DATABASE_URL, the variables that plans name, and QUEUE_URL.',
    )
    .option('--concurrency <n>', 'batches to copy at the same time', '2')
    .option('--metrics-port <port>', 'serve Prometheus metrics on this loopback port')
    .addHelpText(
      'after',
      '\nExample:\n  TARGET_DATABASE_URL=postgres://app@db/new rowfleet loader --concurrency 4',
    );
  withCommonOptions(command).action(
    serve(async (context, options: LoaderOptions) => {
      const concurrency = wholeNumber('--concurrency', options.concurrency, 1, 64);
      const metricsPort = metricsPortOf(options);
      const { runLoader } = await import('../../../workers/loader.ts');
      await runLoader({ ...context, concurrency, metricsPort });
    }),
  );
}
