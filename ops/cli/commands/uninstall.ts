import type { Command } from 'commander';
import { withTarget } from '../../../src/control/open.ts';
import { uninstall } from '../../../src/control/uninstall.ts';
import { type CommonOptions, emit, perform, say, withCommonOptions, withPlanOption } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { openPlanFile } from '../plan-file.ts';
import { removeQueue } from '../queue.ts';
import { printable } from '../render/text.ts';

/** `rowfleet uninstall`: removes every trace of rowfleet from a target and its queue. */
export function addUninstall(program: Command): void {
  const command = program
    .command('uninstall')
    .summary('remove the ledger and the queue from the target')
    .description(
      'Removes every trace of rowfleet from the target of a plan: the schemas rowfleet and rowfleet_queue, and with ' +
        'QUEUE_URL its keys in Redis. The rows that were copied stay. Refused while a run is unfinished or something that ' +
        'one took down is not back, because what restores the target is in the ledger. Stop the fleet first. Id maps ' +
        'with keys in them are kept or given up as you say.',
    )
    .option('--keep-id-maps <schema>', 'move the id maps into a schema of the target')
    .option('--drop-id-maps', 'give the id maps up');
  withPlanOption(command).addHelpText('after', '\nExample:\n  rowfleet uninstall -c plan.yaml');
  withCommonOptions(command).action(
    perform(
      async (options: CommonOptions & { config: string; keepIdMaps?: string; dropIdMaps?: boolean }) => {
        const { target } = openPlanFile(options.config, options);
        const found = await withTarget(target, (ledger) =>
          uninstall(ledger, () => removeQueue(ledger), {
            ...(options.keepIdMaps === undefined ? {} : { schema: options.keepIdMaps }),
            drop: options.dropIdMaps === true,
          }),
        );
        if (options.json === true) emit('uninstalled', { target: target.label, found });
        else
          say(
            found ? `removed rowfleet from ${target.label}` : `${target.label} holds nothing of rowfleet`,
            ...(found && options.keepIdMaps !== undefined
              ? [`  id maps are in the schema ${printable(options.keepIdMaps)}, as tables called id_map_…`]
              : []),
          );
        return exitCode.verified;
      },
    ),
  );
}
