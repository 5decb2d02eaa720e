import type { Command } from 'commander';
import { withLedger } from '../../../src/control/open.ts';
import { chooseRun } from '../../../src/control/resume.ts';
import { type Revision, revisePlan } from '../../../src/control/revise.ts';
import { type CommonOptions, emit, perform, say, withCommonOptions, withPlanOption } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { openPlanFile, type PlanFile } from '../plan-file.ts';
import { withBell } from '../queue.ts';
import { wantsColor } from '../render/color.ts';
import { renderRevision } from '../render/revision.ts';
import { withResolvedPlan } from '../resolve-file.ts';
import { actor, runIdOf } from '../target.ts';

interface ReviseOptions extends CommonOptions {
  config: string;
  dryRun?: boolean;
}

async function revise(file: PlanFile, options: ReviseOptions, runId?: string): Promise<Revision> {
  return withLedger(file.target, async (ledger) => {
    const run = await chooseRun(ledger, file.plan.name, runId);
    // The run itself has filled the tables by now.
    const plan = { ...file.plan, allowNonEmpty: true, backupBeforeMigrate: false };
    const resolved = await withResolvedPlan({ ...file, plan }, options, 'skip', async (found) => found);
    const request = { resolved, file: file.given, actor: actor(), dryRun: options.dryRun === true };
    if (request.dryRun) return revisePlan(ledger, run.id, request);
    return withBell(ledger, async (bell) => {
      const revision = await revisePlan(ledger, run.id, request);
      await bell.ring(run.id);
      return revision;
    });
  });
}

/** `rowfleet revise`: a mended plan becomes the one that an unfinished run goes by. */
export function addRevise(program: Command): void {
  const command = program
    .command('revise')
    .summary('let an unfinished run go by a mended plan')
    .description(
      'Makes the plan, as its file stands now, the next revision of an unfinished run, and says what that changes. It is ' +
        'checked against both databases as for migrate; schema files are not applied. What was loaded by an expression that ' +
        'changed is loaded again when the run goes on. Another source or target, other tables and other flows are refused.',
    )
    .argument('[run]', 'id of the run; the unfinished one of the plan by default');
  withPlanOption(command)
    .option('--dry-run', 'only say what would change')
    .addHelpText(
      'after',
      '\nExample:\n  rowfleet revise -c plan.yaml --dry-run\n  rowfleet revise -c plan.yaml\n  rowfleet quarantine retry --all -c plan.yaml',
    );
  withCommonOptions(command).action(
    perform(async (options: ReviseOptions, given?: string) => {
      const runId = given === undefined ? undefined : runIdOf(given);
      const file = openPlanFile(options.config, options);
      const revision = await revise(file, options, runId);
      const dryRun = options.dryRun === true;
      if (options.json === true) emit('revision', { ...revision, dryRun });
      else
        say(
          ...renderRevision(
            revision,
            { file: file.given, dryRun },
            wantsColor(process.stdout, options.color),
          ),
        );
      return exitCode.verified;
    }),
  );
}
