import type { Command } from 'commander';
import { withLedger } from '../../src/control/open.ts';
import { chooseRun } from '../../src/control/resume.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { Run } from '../../src/ledger/runs.ts';
import type { CommonOptions } from './command.ts';
import { openPlanFile, shellWord } from './plan-file.ts';
import { targetOf } from './target.ts';

export interface RunOptions extends CommonOptions {
  config?: string;
}

/** `-c`, for commands that do without a plan: they act on a run, and need no source and no fleet. */
export function withTargetOption(command: Command): Command {
  return command.option(
    '-c, --config <plan.yaml>',
    'the plan whose target to work on, else TARGET_DATABASE_URL',
  );
}

/** Runs `fn` with the run that a command is about: the one named, else the unfinished one of the plan or of the target. */
export function withChosenRun<T>(
  options: RunOptions,
  runId: string | undefined,
  fn: (ledger: Ledger, run: Run) => Promise<T>,
): Promise<T> {
  const plan = options.config === undefined ? undefined : openPlanFile(options.config, options).plan;
  return withLedger(targetOf(options), async (ledger) =>
    fn(ledger, await chooseRun(ledger, plan?.name, runId)),
  );
}

/** The plan as suggested commands name it: the one given, else the one that the run was started with. */
export const planWord = ({ config }: RunOptions, run: { planFile: string }): string =>
  shellWord(config ?? run.planFile);
