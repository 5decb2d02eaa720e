import type { Command } from 'commander';
import { type CommonOptions, perform, withCommonOptions, withPlanOption } from '../command.ts';
import { followRun } from '../execute.ts';
import { launch } from '../launch.ts';
import { openPlanFile } from '../plan-file.ts';

interface ValidateOptions extends CommonOptions {
  config: string;
  attach?: boolean;
}

/** `rowfleet validate`: makes a plan's checks without copying. */
export function addValidate(program: Command): void {
  const command = program
    .command('validate')
    .summary('check the target against the source, without copying')
    .description(
      'Computes from the source what the target should hold by the plan, and compares it with what it does hold. ' +
        'Writes nothing but the ledger. Ends with 0 verified, 1 failed, 2 usage or plan error, 3 with findings.',
    );
  withPlanOption(command)
    .option('--attach', 'only start the run, and watch a fleet that is there')
    .addHelpText('after', '\nExample:\n  rowfleet validate -c plan.yaml');
  withCommonOptions(command).action(
    perform(async (options: ValidateOptions) => {
      const file = openPlanFile(options.config, options);
      return launch(file, 'validate', options, (ledger, runId) =>
        followRun(ledger, file, runId, { ...options, loaders: 1 }),
      );
    }),
  );
}
