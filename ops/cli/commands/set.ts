import type { Command } from 'commander';
import { changeSettings, parseSettings, settingsOf } from '../../../src/control/settings.ts';
import type { EffectiveSettings } from '../../../src/run/effective-settings.ts';
import { type RunOptions, withChosenRun, withTargetOption } from '../chosen-run.ts';
import { emit, perform, say, withCommonOptions } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { left } from '../render/text.ts';
import { actor, runIdOf } from '../target.ts';

const origins = { set: 'set for this run', plan: 'of the plan', default: 'default' };

function lines({ concurrency, batchSeconds, maxBatchMb }: EffectiveSettings): string[] {
  const shown = [
    { name: 'concurrency', ...concurrency, value: concurrency.value ?? 'every slot of the fleet' },
    { name: 'batch_seconds', ...batchSeconds },
    { name: 'max_mb', ...maxBatchMb },
  ];
  return shown.map(
    ({ name, value, origin }) => `  ${left(name, 13)}  ${left(String(value), 23)}  ${origins[origin]}`,
  );
}

/** `rowfleet set`: changes how a run copies while it goes on. */
export function addSet(program: Command): void {
  const command = program
    .command('set')
    .summary('change how a run copies, while it goes on')
    .description(
      'Changes how a run copies, from its next batches on; batches that are cut already keep their size. Without ' +
        'assignments it prints what holds, and where that comes from.\n\n' +
        '  concurrency=<n>    batches under way at once, over the whole fleet\n' +
        '  batch_seconds=<s>  how long one should take; at most half timeout_per_batch\n' +
        '  max_mb=<n>         how much a batch may carry\n\n' +
        'A value of default takes back what was set.',
    )
    .argument('[run]', 'id of the run; the unfinished one by default')
    .argument('[assignments...]', 'such as concurrency=4');
  withTargetOption(command).addHelpText(
    'after',
    '\nExample:\n  rowfleet set -c plan.yaml concurrency=2 batch_seconds=5',
  );
  withCommonOptions(command).action(
    perform(async (options: RunOptions, first?: string, rest?: unknown) => {
      const given = [...(first === undefined ? [] : [first]), ...(rest as string[])];
      const runId = /^\d/.test(given[0] ?? '') ? runIdOf(given[0]!) : undefined;
      const changes = parseSettings(runId === undefined ? given : given.slice(1));
      return withChosenRun(options, runId, async (ledger, run) => {
        const settings =
          Object.keys(changes).length === 0
            ? settingsOf(run)
            : await changeSettings(ledger, run, changes, actor());
        if (options.json === true) emit('settings', { run: run.id, ...settings });
        else say(`run ${run.id}`, ...lines(settings));
        return exitCode.verified;
      });
    }),
  );
}
