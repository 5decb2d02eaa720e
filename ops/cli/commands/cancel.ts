import type { Command } from 'commander';
import { withLedger } from '../../../src/control/open.ts';
import { chooseRun } from '../../../src/control/resume.ts';
import { cancelRun } from '../../../src/control/stop.ts';
import { type CommonOptions, perform, withCommonOptions, withPlanOption } from '../command.ts';
import { followRun } from '../execute.ts';
import { openPlanFile } from '../plan-file.ts';
import { withBell } from '../queue.ts';
import { actor, runIdOf } from '../target.ts';

interface CancelOptions extends CommonOptions {
  config: string;
  attach?: boolean;
}

/** `rowfleet cancel`: stops an unfinished run for good and restores what it took down. */
export function addCancel(program: Command): void {
  const command = program
    .command('cancel')
    .summary('stop an unfinished run for good, and restore the target')
    .description(
      'Stops the unfinished run of a plan for good: empties the tables that it filled, and brings back every index, ' +
        'constraint and trigger that it took down. Ends with 0 when that is done.',
    )
    .argument('[run]', 'id of the run; the unfinished one of the plan by default');
  withPlanOption(command)
    .option('--attach', 'let a scheduler that is there do the work')
    .addHelpText('after', '\nExample:\n  rowfleet cancel -c plan.yaml');
  withCommonOptions(command).action(
    perform(async (options: CancelOptions, run?: string) => {
      const runId = run === undefined ? undefined : runIdOf(run);
      const file = openPlanFile(options.config, options);
      return withLedger(file.target, async (ledger) => {
        const run = await chooseRun(ledger, file.plan.name, runId);
        await withBell(ledger, async (bell) => {
          await cancelRun(ledger, run, actor());
          await bell.ring(run.id);
        });
        return followRun(ledger, file, run.id, { ...options, loaders: 0, until: 'cancelled' });
      });
    }),
  );
}
