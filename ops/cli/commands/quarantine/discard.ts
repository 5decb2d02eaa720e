import type { Command } from 'commander';
import { withLedger } from '../../../../src/control/open.ts';
import { discardRefused } from '../../../../src/control/quarantine.ts';
import { chooseRun } from '../../../../src/control/resume.ts';
import { plural } from '../../../units.ts';
import { emit, perform, say, withCommonOptions, withPlanOption } from '../../command.ts';
import { exitCode } from '../../exit-code.ts';
import { openPlanFile } from '../../plan-file.ts';
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
  withPlanOption(withSelectOptions(command))
    .requiredOption('--reason <text>', 'why, for those who read the record')
    .addHelpText(
      'after',
      '\nExample:\n  rowfleet quarantine discard 17 18 --reason "test accounts" -c plan.yaml',
    );
  withCommonOptions(command).action(
    perform(async (options: SelectOptions & { reason: string }, given: string[]) => {
      const { runId, ...rows } = selectionOf(options, given);
      const file = openPlanFile(options.config, options);
      await withLedger(file.target, async (ledger) => {
        const run = await chooseRun(ledger, file.plan.name, runId);
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
