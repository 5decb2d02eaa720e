import { type Command, Option } from 'commander';
import { usageError } from '../../../src/errors.ts';
import { perform, withCommonOptions, withPlanOption } from '../command.ts';
import { type DryRunOptions, dryRun } from '../dry-run.ts';
import { followRun } from '../execute.ts';
import { launch } from '../launch.ts';
import { openPlanFile } from '../plan-file.ts';

interface MigrateOptions extends DryRunOptions {
  config: string;
  dryRun?: boolean;
  attach?: boolean;
  /** False with --no-next. */
  next: boolean;
}

/** `rowfleet migrate`: executes a plan to its end, with a fleet of its own unless told to attach to one. */
export function addMigrate(program: Command): void {
  const command = program
    .command('migrate')
    .summary('execute a plan: copy, build, verify')
    .description(
      'Executes a plan: copies the rows, builds what slows loading, verifies, and brings constraints back. Brings its ' +
        'own fleet (a scheduler, parallel_workers loaders, a validator). Ctrl-C stops it; the run can be resumed. ' +
        'Ends with 0 verified, 1 failed, 2 usage or plan error, 3 finished with findings or rows in quarantine, 130 interrupted.',
    );
  withPlanOption(command)
    .option(
      '--dry-run',
      'check everything, print each statement with its undo, the batches, the time and some rows before and after; write nothing to either database, and end with 3 where a row shown would be refused',
    )
    .option('--sample <n>', 'with --dry-run: how many rows of each flow to show; 5 by default, 0 for none')
    .option('--attach', 'only start the run, and watch a fleet that is there')
    .addOption(new Option('--no-next', 'leave out what to type next').hideHelp())
    .addHelpText(
      'after',
      '\nExample:\n  rowfleet migrate -c plan.yaml --dry-run --sample 20\n  rowfleet migrate -c plan.yaml',
    );
  withCommonOptions(command).action(
    perform(async (options: MigrateOptions) => {
      const file = openPlanFile(options.config, options);
      if (options.dryRun === true || file.plan.dryRun) return dryRun(file, options);
      if (options.sample !== undefined)
        throw usageError(
          'SAMPLE_INVALID',
          '--sample goes with --dry-run',
          'rowfleet migrate -c plan.yaml --dry-run --sample 20',
        );
      return launch(file, 'migrate', options, (ledger, runId) =>
        followRun(ledger, file, runId, { ...options, loaders: file.plan.settings.parallelWorkers }),
      );
    }),
  );
}
