import type { Command } from 'commander';
import { type CommonOptions, withCommonOptions } from '../command.ts';
import { metricsPortOf, serve } from '../serve.ts';
import { slotRangeOf } from '../slot-range.ts';

interface LoaderOptions extends CommonOptions {
  concurrency?: string;
  metricsPort?: string;
}

/** `rowfleet loader`: copies batches and builds indexes; joins and leaves the fleet at any time. */
export function addLoader(program: Command): void {
  const command = program
    .command('loader')
    .summary('run a loader of the fleet')
    .description(
      'Copies batches and builds indexes for every run of the target. Loaders may join and leave in the middle of a run. With ' +
        'a range such as 1-8 it does as many at once as move more rows than fewer would; it does fewer for a while ' +
        'when a server refuses connections, locks or memory. ' +
        'Reads TARGET_DATABASE_URL, the variables that plans name, QUEUE_URL, and ROWFLEET_PLANS for the code of plans.',
    )
    .option('--concurrency <n>', 'batches to copy at once, or a range: LOADER_CONCURRENCY, else 2')
    .option('--metrics-port <port>', 'serve Prometheus metrics on this loopback port')
    .addHelpText(
      'after',
      '\nExample:\n  rowfleet loader --concurrency 4\nwith these in its environment, the source by the name that the plan has for it:\n' +
        '  SOURCE_DATABASE_URL=postgres://app@db/old\n' +
        '  TARGET_DATABASE_URL=postgres://app@db/new',
    );
  withCommonOptions(command).action(
    serve(async (context, options: LoaderOptions) => {
      const given = process.env.LOADER_CONCURRENCY || '2';
      const concurrency =
        options.concurrency === undefined
          ? slotRangeOf('LOADER_CONCURRENCY', given)
          : slotRangeOf('--concurrency', options.concurrency);
      const metricsPort = metricsPortOf(options);
      const { runLoader } = await import('../../../workers/loader.ts');
      await runLoader({ ...context, concurrency, metricsPort });
    }),
  );
}
