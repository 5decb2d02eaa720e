import type { Command } from 'commander';
import { type CommonOptions, withCommonOptions } from '../command.ts';
import { metricsPortOf, serve } from '../serve.ts';

/** `rowfleet scheduler`: cuts batches and takes runs from phase to phase. Of several, one leads. */
export function addScheduler(program: Command): void {
  const command = program
    .command('scheduler')
    .summary('run a scheduler of the fleet')
    .description(
      'Cuts tables into batches and takes runs from phase to phase. Of several schedulers one leads, the others stand by. ' +
        'Reads TARGET_DATABASE_URL, the variables that plans name, and QUEUE_URL.',
    )
    .option('--metrics-port <port>', 'serve Prometheus metrics on this loopback port')
    .addHelpText('after', '\nExample:\n  TARGET_DATABASE_URL=postgres://app@db/new rowfleet scheduler');
  withCommonOptions(command).action(
    serve(async (context, options: CommonOptions & { metricsPort?: string }) => {
      const metricsPort = metricsPortOf(options);
      const { runScheduler } = await import('../../../workers/scheduler.ts');
      await runScheduler({ ...context, metricsPort });
    }),
  );
}
