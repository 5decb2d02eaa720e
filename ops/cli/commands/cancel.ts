import type { Command } from 'commander';
import { cancelFlow } from '../../../src/control/cancel-flow.ts';
import { cancelRun } from '../../../src/control/stop.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { Run } from '../../../src/ledger/runs.ts';
import { shellWord } from '../../../src/shell-word.ts';
import { type RunOptions, type RunSite, withChosenRun, withTargetOption } from '../chosen-run.ts';
import { emit, perform, say, withCommonOptions } from '../command.ts';
import { followRun } from '../execute.ts';
import { type ExitCode, exitCode } from '../exit-code.ts';
import { withBell } from '../queue.ts';
import { printable } from '../render/text.ts';
import { actor, runIdOf } from '../target.ts';

interface CancelOptions extends RunOptions {
  attach?: boolean;
  flow?: string;
}

/** Cancels one flow: the run goes on without it. */
async function cancelOneFlow(
  ledger: Ledger,
  site: RunSite,
  run: Run,
  flow: string,
  options: CancelOptions,
): Promise<ExitCode> {
  const changed = await cancelFlow(ledger, run, flow, actor());
  if (options.json === true) {
    emit('cancelled', { run: run.id, flow, already: !changed });
    return exitCode.verified;
  }
  const what = `flow ${printable(flow)} of run ${run.id} is cancelled${changed ? '' : ' already'}`;
  say(`${what}: what it has copied stays, and the run will end with a finding that counts the rest`);
  const word = printable(shellWord(flow));
  say(`  rowfleet resume${site.option} ${run.id} --flow ${word}   takes it up again`);
  return exitCode.verified;
}

/** `rowfleet cancel`: stops an unfinished run for good and restores what it took down. */
export function addCancel(program: Command): void {
  const command = program
    .command('cancel')
    .summary('stop an unfinished run for good, and restore the target')
    .description(
      'Stops the unfinished run of a plan for good: empties the tables that it filled, and brings back every index, ' +
        'constraint and trigger that it took down. Ends with 0 when that is done. With --flow only that flow ends where it ' +
        'stands, and the run goes on without it.',
    )
    .argument('[run]', 'id of the run; the unfinished one by default');
  withTargetOption(command)
    .option('--flow <name>', 'cancel only this flow; what it has copied stays')
    .option('--attach', 'let a scheduler that is there do the work')
    .addHelpText('after', '\nExample:\n  rowfleet cancel -c plan.yaml');
  withCommonOptions(command).action(
    perform(async (options: CancelOptions, run?: string) => {
      const runId = run === undefined ? undefined : runIdOf(run);
      return withChosenRun(options, runId, async (ledger, run, site) => {
        if (options.flow !== undefined) return cancelOneFlow(ledger, site, run, options.flow, options);
        await withBell(ledger, async (bell) => {
          await cancelRun(ledger, run, actor());
          await bell.ring(run.id);
        });
        return followRun(ledger, site, run.id, { ...options, loaders: 0, until: 'cancelled' });
      });
    }),
  );
}
