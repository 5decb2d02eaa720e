import type { Command } from 'commander';
import { pauseRun } from '../../../src/control/pause.ts';
import { shellWord } from '../../../src/shell-word.ts';
import { timeOfDay } from '../../units.ts';
import { type RunOptions, withChosenRun, withTargetOption } from '../chosen-run.ts';
import { emit, perform, say, withCommonOptions } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { printable } from '../render/text.ts';
import { actor, runIdOf } from '../target.ts';

interface PauseOptions extends RunOptions {
  flow?: string;
  reason?: string;
}

/** `rowfleet pause`: lets a run, or one of its flows, come to rest; `resume` lets it go on. */
export function addPause(program: Command): void {
  const command = program
    .command('pause')
    .summary('let a run or one of its flows come to rest')
    .description(
      'Pauses a run, or one of its flows: batches under way run to their end, nothing more is begun. The fleet stays, and ' +
        'so does the snapshot of the source. `rowfleet resume` lets it go on.',
    )
    .argument('[run]', 'id of the run; the unfinished one by default');
  withTargetOption(command)
    .option('--flow <name>', 'pause only this flow')
    .option('--reason <text>', 'what status tells those who wonder')
    .addHelpText(
      'after',
      '\nExample:\n  rowfleet pause -c plan.yaml --flow chunks --reason "backup until 02:00"',
    );
  withCommonOptions(command).action(
    perform(async (options: PauseOptions, run?: string) => {
      const runId = run === undefined ? undefined : runIdOf(run);
      return withChosenRun(options, runId, async (ledger, run, site) => {
        const { flow, reason } = options;
        const there = await pauseRun(ledger, run, { flow, reason, actor: actor() });
        if (options.json === true) {
          emit('paused', { run: run.id, flow: flow ?? null, already: there !== null });
          return exitCode.verified;
        }
        const what = flow === undefined ? `run ${run.id}` : `flow ${printable(flow)} of run ${run.id}`;
        const only = flow === undefined ? '' : ` --flow ${printable(shellWord(flow))}`;
        if (there === null) say(`${what} is paused: what is under way runs to its end`);
        else say(`${what} is paused already, since ${timeOfDay(there.since)}: ${printable(there.reason)}`);
        say(`  rowfleet resume${site.option} ${run.id}${only}   goes on with it`);
        return exitCode.verified;
      });
    }),
  );
}
