import type { Command } from 'commander';
import { withLedger } from '../../../../src/control/open.ts';
import { usageError } from '../../../../src/errors.ts';
import type { QuarantinedRow } from '../../../../src/ledger/read-quarantine.ts';
import { chooseQuarantine, readQuarantine } from '../../../../src/progress/quarantine.ts';
import { emit, perform, say, withCommonOptions } from '../../command.ts';
import { exitCode } from '../../exit-code.ts';
import { type LookOptions, lookAt, statesOf, withLookOptions } from '../../quarantine-options.ts';
import { wantsColor } from '../../render/color.ts';
import { columnsOf } from '../../render/columns.ts';
import { renderQuarantine } from '../../render/quarantine.ts';
import { runIdOf } from '../../target.ts';

function limitOf(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw usageError(
    'LIMIT_INVALID',
    `--limit must be a whole number, not "${text}"`,
    '20 rows are shown without it',
  );
}

/** A row as `list` tells of it: pipes and logs get no more of its values than a terminal. */
const withKeyOnly = ({ values, ...row }: QuarantinedRow) => ({
  ...row,
  ...(values === undefined ? {} : { sourceKey: values.sourceKey }),
});

/** `rowfleet quarantine list [run]`: why rows were refused, and the first of them. */
export function addList(group: Command): void {
  const command = group
    .command('list')
    .summary('why rows were refused, and the first of them')
    .description(
      'Shows the quarantine of a run: how many rows were refused for which reason, most frequent first, then the first ' +
        'rows with their source keys. Where values are encrypted, keys are shown to those who have ROWFLEET_QUARANTINE_KEY.',
    )
    .argument('[run]', 'id of the run; the latest with rows in quarantine by default');
  withLookOptions(command)
    .option('--limit <n>', 'how many rows to show', '20')
    .addHelpText('after', '\nExample:\n  rowfleet quarantine list 12 --state held -c plan.yaml');
  withCommonOptions(command).action(
    perform(async (options: LookOptions & { limit: string }, given?: string) => {
      const runId = given === undefined ? undefined : runIdOf(given);
      const [limit, states, { target, planName }] = [
        limitOf(options.limit),
        statesOf(options),
        lookAt(options),
      ];
      await withLedger(target, async (ledger) => {
        const filter = {
          runId: await chooseQuarantine(ledger, planName, runId),
          ...(options.flow === undefined ? {} : { flow: options.flow }),
          states,
        };
        const view = await readQuarantine(ledger, filter, process.env, limit);
        if (options.json === true) emit('quarantine', { ...view, rows: view.rows.map(withKeyOnly) });
        else
          say(
            ...renderQuarantine(view, columnsOf(process.stdout), wantsColor(process.stdout, options.color)),
          );
      });
      return exitCode.verified;
    }),
  );
}
