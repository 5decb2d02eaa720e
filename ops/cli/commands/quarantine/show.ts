import type { Command } from 'commander';
import { withLedger } from '../../../../src/control/open.ts';
import { readRows } from '../../../../src/progress/quarantine.ts';
import { openRunSite } from '../../chosen-run.ts';
import { emit, perform, say, withCommonOptions } from '../../command.ts';
import { exitCode } from '../../exit-code.ts';
import { type LookOptions, rowIdsOf } from '../../quarantine-options.ts';
import { wantsColor } from '../../render/color.ts';
import { renderRow } from '../../render/quarantine.ts';

/** `rowfleet quarantine show <id…>`: everything about single rows. */
export function addShow(group: Command): void {
  const command = group
    .command('show')
    .summary('show a row in full, and what can be done')
    .description(
      'Shows refused rows in full: source key, the row as the source had it and as it would have been loaded, why and ' +
        'where it was refused, what was done to it since, and what to type next.',
    )
    .argument('<id...>', 'ids of rows, as list shows them')
    .option('-c, --config <plan.yaml>', 'the plan whose target to look at')
    .addHelpText('after', '\nExample:\n  rowfleet quarantine show 17 -c plan.yaml');
  withCommonOptions(command).action(
    perform(async (options: LookOptions, given: string[]) => {
      const ids = rowIdsOf(given);
      const { target, option } = openRunSite(options);
      await withLedger(target, async (ledger) => {
        const color = wantsColor(process.stdout, options.color);
        for (const row of await readRows(ledger, ids, process.env)) {
          if (options.json === true) emit('row', row);
          else say(...(row.id === ids[0] ? [] : ['']), ...renderRow(row, option, color));
        }
      });
      return exitCode.verified;
    }),
  );
}
