import type { Command } from 'commander';
import { type CommonOptions, withCommonOptions } from '../command.ts';
import { metricsPortOf, serve, wholeNumber } from '../serve.ts';

interface ValidatorOptions extends CommonOptions {
  concurrency: string;
  metricsPort?: string;
}

/** `rowfleet validator`: makes the checks of every run. */
export function addValidator(program: Command): void {
  const command = program
    .command('validator')
    .summary('run a validator of the fleet')
    .description(
      'Checks what was copied: counts, digests, relationships. ' +
        'Reads TARGET_DATABASE_URL, the variables that plans name, QUEUE_URL, and ROWFLEET_PLANS for the code of plans.',
    )
    .option('--concurrency <n>', 'checks to make at the same time', '2')
    .option('--metrics-port <port>', 'serve Prometheus metrics on this loopback port')
    .addHelpText(
      'after',
      '\nExample:\n  rowfleet validator\nwith these in its environment, the source by the name that the plan has for it:\n' +
        '  SOURCE_DATABASE_URL=postgres://app@db/old\n' +
        '  TARGET_DATABASE_URL=postgres://app@db/new',
    );
  withCommonOptions(command).action(
    serve(async (context, options: ValidatorOptions) => {
      const concurrency = wholeNumber('--concurrency', options.concurrency, 1, 64);
      const metricsPort = metricsPortOf(options);
      const { runValidator } = await import('../../../workers/validator.ts');
      await runValidator({ ...context, concurrency, metricsPort });
    }),
  );
}
