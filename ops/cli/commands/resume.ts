import type { Command } from 'commander';
import { withLedger } from '../../../src/control/open.ts';
import { chooseRun, resumeRun } from '../../../src/control/resume.ts';
import { type CommonOptions, perform, withCommonOptions, withPlanOption } from '../command.ts';
import { followRun } from '../execute.ts';
import { openPlanFile } from '../plan-file.ts';
import { withBell } from '../queue.ts';
import { actor, runIdOf } from '../target.ts';

interface ResumeOptions extends CommonOptions {
  config: string;
  attach?: boolean;
}

/** `rowfleet resume`: goes on with an unfinished run of a plan, from any host. */
export function addResume(program: Command): void {
  const command = program
    .command('resume')
    .summary('go on with an unfinished run')
    .description(
      'Goes on with the unfinished run of a plan where it stands, from any host: batches that were copied stay copied. ' +
        'Works with the plan as the run recorded it. Exit codes as for migrate.',
    )
    .argument('[run]', 'id of the run; the unfinished one of the plan by default');
  withPlanOption(command)
    .option('--attach', 'only resume the run, and watch a fleet that is there')
    .addHelpText('after', '\nExample:\n  rowfleet resume -c plan.yaml');
  withCommonOptions(command).action(
    perform(async (options: ResumeOptions, run?: string) => {
      const runId = run === undefined ? undefined : runIdOf(run);
      const file = openPlanFile(options.config, options);
      return withLedger(file.target, async (ledger) => {
        const run = await chooseRun(ledger, file.plan.name, runId);
        await withBell(ledger, async (bell) => {
          await resumeRun(ledger, run, actor());
          await bell.ring(run.id);
        });
        return followRun(ledger, file, run.id, { ...options, loaders: file.plan.settings.parallelWorkers });
      });
    }),
  );
}
