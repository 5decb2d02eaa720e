import type { Command } from 'commander';
import { usageError } from '../../src/errors.ts';
import type { QuarantineState } from '../../src/ledger/read-quarantine.ts';
import type { Endpoint } from '../../src/pg/endpoint.ts';
import type { CommonOptions } from './command.ts';
import { openPlanFile } from './plan-file.ts';
import { runIdOf, targetOf } from './target.ts';

const states: readonly QuarantineState[] = ['held', 'sent', 'loaded', 'discarded'];

/** Options of commands that look at a quarantine. */
export interface LookOptions extends CommonOptions {
  config?: string;
  flow?: string;
  state?: string;
}

/** Options of commands that act on rows of a quarantine. */
export interface SelectOptions extends CommonOptions {
  config?: string;
  run?: string;
  flow?: string;
  all?: boolean;
}

/** Adds `-c`, which is optional here, `--flow` and `--state`. */
export function withLookOptions(command: Command): Command {
  return command
    .option('-c, --config <plan.yaml>', 'the plan whose target to look at')
    .option('--flow <name>', 'only rows of this flow')
    .option(
      '--state <state>',
      `only rows that are ${states.join(', ')}; by default those that are not loaded`,
    );
}

/** The states that a command is about, by default all of rows that are not in the target. Throws STATE_UNKNOWN. */
export function statesOf({ state }: LookOptions): QuarantineState[] {
  if (state === undefined) return states.filter((each) => each !== 'loaded');
  const known = states.find((each) => each === state);
  if (known !== undefined) return [known];
  throw usageError('STATE_UNKNOWN', `"${state}" is no state of a row`, `one of: ${states.join(', ')}`);
}

/** Where a command looks, and the plan's name where one is given. */
export function lookAt(options: LookOptions): { target: Endpoint; planName?: string } {
  if (options.config === undefined) return { target: targetOf(options) };
  const { target, plan } = openPlanFile(options.config, options);
  return { target, planName: plan.name };
}

/** Ids of rows from the command line. Throws ROW_ID_INVALID. */
export function rowIdsOf(given: string[]): string[] {
  for (const id of given) {
    if (/^[1-9]\d{0,17}$/.test(id)) continue;
    throw usageError(
      'ROW_ID_INVALID',
      `"${id}" is not the id of a row`,
      'rowfleet quarantine list shows them',
    );
  }
  return [...new Set(given)];
}

/** Adds what selects rows to act on: `--flow`, `--all`, `--run`. */
export function withSelectOptions(command: Command): Command {
  return command
    .option('--flow <name>', 'all rows of this flow that are held')
    .option('--all', 'all rows that are held')
    .option('--run <id>', 'id of the run; the unfinished one of the plan by default');
}

/** The run and the rows that a command is to act on. Throws SELECTION_MISSING unless they are told in exactly one way. */
export function selectionOf(
  options: SelectOptions,
  given: string[],
  { from = false } = {},
): { runId?: string; ids?: string[]; flow?: string } {
  const ids = rowIdsOf(given);
  const ways = [ids.length > 0, options.flow !== undefined, options.all === true].filter(Boolean).length;
  if (ways > 1 || (ways === 0 && !from)) {
    const how = from ? ', or --from a file' : '';
    throw usageError(
      'SELECTION_MISSING',
      ways === 0 ? 'which rows?' : 'ids, --flow and --all exclude each other',
      `name them by id, by --flow, or --all${how}`,
    );
  }
  return {
    ...(options.run === undefined ? {} : { runId: runIdOf(options.run) }),
    ...(ids.length > 0 ? { ids } : {}),
    ...(options.flow === undefined ? {} : { flow: options.flow }),
  };
}
