import type { Command } from 'commander';
import { usageError } from '../../../src/errors.ts';
import { perform, withCommonOptions } from '../command.ts';

const verbs = {
  rollback: 'undoing a finished run',
  'compatibility-report': 'reporting on two schemas without a plan',
};

const instead: Record<string, string> = {
  rollback: 'rowfleet cancel restores what an unfinished run took down',
  'compatibility-report': 'rowfleet migrate --dry-run holds a plan against both databases',
};

/** Verbs that rowfleet will have: known by name, and refused with that reason instead of as an unknown command. */
export function addNotBuilt(program: Command): void {
  for (const [verb, what] of Object.entries(verbs)) {
    const command = program
      .command(verb)
      .summary(`${what} (not built yet)`)
      .description(`Not built yet: ${what}.`)
      .allowUnknownOption()
      .allowExcessArguments();
    withCommonOptions(command).action(
      perform(async () => {
        throw usageError('NOT_BUILT', `rowfleet ${verb} is not built yet`, instead[verb]);
      }),
    );
  }
}
