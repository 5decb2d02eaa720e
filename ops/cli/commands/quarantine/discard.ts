import type { Command } from 'commander';
import { discardRefused } from '../../../../src/control/quarantine.ts';
import { plural } from '../../../units.ts';
import { withChosenRun, withTargetOption } from '../../chosen-run.ts';
import { emit, perform, say, withCommonOptions } from '../../command.ts';
import { exitCode } from '../../exit-code.ts';
import { type SelectOptions, selectionOf, withSelectOptions } from '../../quarantine-options.ts';
import { renderLeft } from '../../render/quarantine.ts';
import { actor } from '../../target.ts';

/** `rowfleet quarantine discard`: gives rows up, for the record. */
export function addDiscard(group: Command): void {
  const command = group
    .command('discard')
    .summary('give refused rows up, for the record')
    .description(
      'Marks refused rows as given up, by whom and why. They are kept, and their run is never called verified: it ends ' +
        'with 3. A row that was discarded can still be sent again.',
    )
    .argument('[id...]', 'ids of rows');
  withTargetOption(withSelectOptions(command))
    .requiredOption('--reason <text>', 'why, for those who read the record')
    .addHelpText(
      'after',
      '\nExample:\n  rowfleet quarantine discard 17 18 --reason "test accounts" -c plan.yaml',
    );
  withCommonOptions(command).action(
    perform(async (options: SelectOptions & { reason: string }, given: string[]) => {
      const { runId, ...rows } = selectionOf(options, given);
      await withChosenRun(options, runId, async (ledger, run) => {
        const settled = await discardRefused(ledger, run.id, {
          ...{ ...rows, reason: options.reason, actor: actor() },
        });
        if (options.json === true) return emit('discarded', { run: run.id, ...settled });
        say(
          `run ${run.id}: ${plural(settled.rows, 'row')} discarded`,
          ...renderLeft(settled.left),
          'the run still ends with 3: it is verified only when every row is in the target',
        );
      });
      return exitCode.verified;
    }),
  );
}
