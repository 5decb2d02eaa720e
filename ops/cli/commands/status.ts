import type { Command } from 'commander';
import { withLedger } from '../../../src/control/open.ts';
import { usageError } from '../../../src/errors.ts';
import { readRunErrors, readRunFindings, readRuns } from '../../../src/progress/runs.ts';
import { readProgress } from '../../../src/progress/snapshot.ts';
import { type CommonOptions, emit, perform, say, withCommonOptions } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { wantsColor } from '../render/color.ts';
import { columnsOf, writeWrapped } from '../render/columns.ts';
import { renderErrors } from '../render/errors.ts';
import { renderRuns, renderStatus } from '../render/status.ts';
import { runIdOf, targetOf } from '../target.ts';

interface StatusOptions extends CommonOptions {
  config?: string;
  errors?: boolean;
}

/** `rowfleet status [run]`: the runs of a target, or everything about one of them. Always ends 0 when it could look. */
export function addStatus(program: Command): void {
  const command = program
    .command('status')
    .summary('show the runs, or one run in detail')
    .description(
      'Shows the runs of a target, or one run: phase, flows, batches, attempts that run and where, ETA, checks and ' +
        'findings with their keys and values. The target is that of the plan, or TARGET_DATABASE_URL.',
    )
    .argument('[run]', 'id of a run')
    .option('-c, --config <plan.yaml>', 'the plan whose target to look at')
    .option('--errors', 'count what went wrong in the run, by class, code, table and constraint')
    .addHelpText(
      'after',
      '\nExample:\n  rowfleet status 12 -c plan.yaml\n  rowfleet status 12 --errors -c plan.yaml',
    );
  withCommonOptions(command).action(
    perform(async (options: StatusOptions, run?: string) => {
      const runId = run === undefined ? undefined : runIdOf(run);
      await withLedger(targetOf(options), async (ledger) => {
        const color = wantsColor(process.stdout, options.color);
        if (runId === undefined) {
          if (options.errors === true)
            throw usageError('RUN_MISSING', '--errors needs a run', 'rowfleet status <run> --errors');
          const runs = await readRuns(ledger);
          if (options.json === true) for (const one of runs) emit('run', one);
          else say(...renderRuns(runs, color));
          return;
        }
        const snapshot = await readProgress(ledger, runId);
        if (options.errors === true) {
          const errors = await readRunErrors(ledger, runId);
          if (options.json === true) emit('errors', { run: runId, errors });
          else say(...renderErrors(errors, columnsOf(process.stdout), color));
          return;
        }
        const findings = await readRunFindings(ledger, runId);
        if (options.json === true) emit('status', { ...snapshot, findings });
        else writeWrapped(process.stdout, renderStatus(snapshot, findings, color));
      });
      return exitCode.verified;
    }),
  );
}
