import type { Command } from 'commander';
import { withLedger } from '../../../src/control/open.ts';
import { requeue } from '../../../src/control/requeue.ts';
import { usageError } from '../../../src/errors.ts';
import { type CommonOptions, emit, perform, say, withCommonOptions } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { withBell } from '../queue.ts';
import { actor, runIdOf, targetOf } from '../target.ts';

interface RequeueOptions extends CommonOptions {
  run: string;
  config?: string;
  flow?: string;
  batch?: string[];
  failed?: boolean;
}

function batchIdOf(text: string): string {
  if (/^[1-9]\d{0,17}$/.test(text)) return text;
  throw usageError(
    'BATCH_ID_INVALID',
    `"${text}" is not the id of a batch`,
    'an id is a number: `rowfleet status` shows those of batches in trouble',
  );
}

/** `rowfleet requeue`: tries batches that failed again. */
export function addRequeue(program: Command): void {
  const command = program
    .command('requeue')
    .summary('try batches that failed again')
    .description(
      'Gives batches that failed, or that wait for their next try, a new set of tries at once; a failed run goes on. ' +
        'The target is that of the plan, or TARGET_DATABASE_URL. It brings no fleet: `rowfleet resume` does.',
    )
    .requiredOption('--run <id>', 'the run')
    .option('-c, --config <plan.yaml>', 'the plan whose target to work on')
    .option('--flow <name>', 'only this flow')
    .option('--batch <id...>', 'only these batches')
    .option('--failed', 'everything that failed')
    .addHelpText(
      'after',
      '\nExample:\n  rowfleet requeue --run 12 --failed -c plan.yaml\n  rowfleet requeue --run 12 --batch 4711 4712 -c plan.yaml',
    );
  withCommonOptions(command).action(
    perform(async (options: RequeueOptions) => {
      const runId = runIdOf(options.run);
      const { flow, batch, failed } = options;
      if (batch === undefined && failed !== true)
        throw usageError(
          'REQUEUE_WHAT',
          'requeue needs to know what',
          'name batches with --batch, or give --failed',
        );
      if (batch !== undefined && failed === true)
        throw usageError('REQUEUE_WHAT', '--batch and --failed exclude each other', 'give one of them');
      return withLedger(targetOf(options), (ledger) =>
        withBell(ledger, async (bell) => {
          const tasks = batch?.map(batchIdOf);
          const request = {
            actor: actor(),
            ...(flow === undefined ? {} : { flow }),
            ...(tasks === undefined ? {} : { tasks }),
          };
          const ids = await requeue(ledger, runId, request);
          await bell.ring(runId);
          if (options.json === true) emit('requeued', { run: runId, tasks: ids });
          else
            say(
              `run ${runId}: ${ids.length} ${ids.length === 1 ? 'task is' : 'tasks are'} tried again (${ids.join(', ')})`,
            );
          return exitCode.verified;
        }),
      );
    }),
  );
}
