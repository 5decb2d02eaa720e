import type { Command } from 'commander';
import { addDiscard } from './quarantine/discard.ts';
import { addExport } from './quarantine/export.ts';
import { addList } from './quarantine/list.ts';
import { addRetry } from './quarantine/retry.ts';
import { addShow } from './quarantine/show.ts';

/** `rowfleet quarantine`: rows that were refused, for people to look at, mend, send again or give up. */
export function addQuarantine(program: Command): void {
  const group = program
    .command('quarantine')
    .summary('look at refused rows, mend them, send them again')
    .description(
      'Rows that the target, or their own expressions, refused: set aside one by one, with the reason, the row as the ' +
        'source had it and as it would have been loaded. A run with rows in quarantine ends with 3, never verified.',
    )
    .addHelpText(
      'after',
      '\nEach takes --json and --no-color: rowfleet quarantine list --help.\n\nExample:\n  rowfleet quarantine list -c plan.yaml',
    );
  addList(group);
  addShow(group);
  addExport(group);
  addRetry(group);
  addDiscard(group);
}
