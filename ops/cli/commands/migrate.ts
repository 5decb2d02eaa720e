import { type Command, Option } from 'commander';
import { type CommonOptions, perform, withCommonOptions, withPlanOption } from '../command.ts';
import { printPlanOfAction } from '../dry-run.ts';
import { followRun } from '../execute.ts';
import { launch } from '../launch.ts';
import { openPlanFile } from '../plan-file.ts';

interface MigrateOptions extends CommonOptions {
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
    .option('--dry-run', 'check everything and print what would be done; write nothing to either database')
    .option('--attach', 'only start the run, and watch a fleet that is there')
    .addOption(new Option('--no-next', 'leave out what to type next').hideHelp())
    .addHelpText(
      'after',
      '\nExample:\n  rowfleet migrate -c plan.yaml --dry-run\n  rowfleet migrate -c plan.yaml',
    );
  withCommonOptions(command).action(
    perform(async (options: MigrateOptions) => {
      const file = openPlanFile(options.config, options);
      if (options.dryRun === true || file.plan.dryRun) return printPlanOfAction(file, options);
      return launch(file, 'migrate', options, (ledger, runId) =>
        followRun(ledger, file, runId, { ...options, loaders: file.plan.settings.parallelWorkers }),
      );
    }),
  );
}
