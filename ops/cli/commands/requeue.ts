import type { Command } from 'commander';
import { type ReloadScope, reload, withdraw } from '../../../src/control/reload.ts';
import { requeue } from '../../../src/control/requeue.ts';
import { usageError } from '../../../src/errors.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { type RunOptions, withChosenRun, withTargetOption } from '../chosen-run.ts';
import { emit, perform, say, withCommonOptions } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { withBell } from '../queue.ts';
import { actor, runIdOf } from '../target.ts';

interface RequeueOptions extends RunOptions {
  run?: string;
  flow?: string;
  batch?: string[];
  failed?: boolean;
  range?: string;
  reload?: boolean;
  deleteVanished?: boolean;
  withdraw?: boolean;
}

function batchIdOf(text: string): string {
  if (/^[1-9]\d{0,17}$/.test(text)) return text;
  throw usageError(
    'BATCH_ID_INVALID',
    `"${text}" is not the id of a batch`,
    'an id is a number: `rowfleet status` shows those of batches in trouble',
  );
}

/** `5..10`, `..10` or `5..`: the bounds of a range; null is open. */
function rangeOf(text: string): { from: string | null; to: string | null } {
  const [from, to, more] = text.split('..');
  if (to === undefined || more !== undefined || (from === '' && to === ''))
    throw usageError(
      'RANGE_INVALID',
      `"${text}" is not a range`,
      'write it as 1000..2000 (the end is not part of it), 1000.. or ..2000',
    );
  return { from: from === '' ? null : from!, to: to === '' ? null : to };
}

/** What is asked for, once the options agree with each other. */
type Request =
  | { kind: 'try'; tasks?: string[] }
  | { kind: 'reload'; scope: ReloadScope }
  | { kind: 'withdraw' };

const contradiction = (message: string, hint: string) => usageError('REQUEUE_WHAT', message, hint);

function requestOf({ batch, failed, range, reload, withdraw, flow }: RequeueOptions): Request {
  const given = [batch, failed, range, withdraw].filter((each) => each !== undefined).length;
  if (given > 1)
    throw contradiction('--batch, --failed, --range and --withdraw exclude each other', 'give one of them');
  if (withdraw === true) return { kind: 'withdraw' };
  if (reload !== true) {
    if (range !== undefined)
      throw contradiction('a range is one of rows that were loaded before', 'add --reload to load it again');
    if (batch === undefined && failed !== true)
      throw contradiction('requeue needs to know what', 'give --failed, --batch, or --flow with --reload');
    return { kind: 'try', ...(batch === undefined ? {} : { tasks: batch.map(batchIdOf) }) };
  }
  if (failed === true)
    throw contradiction('what failed has not been loaded', 'leave --reload away to try it again');
  if (batch !== undefined) return { kind: 'reload', scope: { batches: batch.map(batchIdOf) } };
  if (range !== undefined) return { kind: 'reload', scope: { range: rangeOf(range) } };
  if (flow === undefined)
    throw contradiction('--reload needs to know what', 'give --flow, --batch or --range');
  return { kind: 'reload', scope: 'whole' };
}

const plural = (n: number, noun: 'batch' | 'task') =>
  `${n} ${noun}${n === 1 ? '' : noun === 'batch' ? 'es' : 's'}`;

/** Does what was asked for; returns what it came to, for scripts and in words. */
async function act(
  ledger: Ledger,
  runId: string,
  request: Request,
  { flow, deleteVanished }: RequeueOptions,
): Promise<{ result: object; line: string }> {
  const by = { actor: actor(), ...(flow === undefined ? {} : { flow }) };
  if (request.kind === 'withdraw') {
    const withdrawn = await withdraw(ledger, runId, by.actor, flow);
    return { result: { withdrawn }, line: `${plural(withdrawn, 'batch')} will not be loaded again` };
  }
  if (request.kind === 'try') {
    const tasks = await requeue(ledger, runId, {
      ...by,
      ...(request.tasks === undefined ? {} : { tasks: request.tasks }),
    });
    return {
      result: { tasks },
      line: `${plural(tasks.length, 'task')} to be tried again: ${tasks.join(', ')}`,
    };
  }
  const batches = await reload(ledger, runId, {
    ...by,
    scope: request.scope,
    deleteVanished: deleteVanished === true,
  });
  const line = `${plural(batches.length, 'batch')} to be loaded again (${batches.join(', ')}), and all to be checked behind that`;
  return { result: { reload: batches }, line };
}

/** `rowfleet requeue`: tries batches that failed again, or loads again what was loaded. */
export function addRequeue(program: Command): void {
  const command = withTargetOption(program.command('requeue'))
    .summary('try failed batches again, or load again what was loaded')
    .description(
      'Gives batches that failed, or that wait for their next try, a new set of tries at once. With --reload, loads again ' +
        'what was loaded: rows that differ are updated, missing ones inserted and, but for --batch, those deleted that the ' +
        'source yields no more; user triggers do not fire. Then all checks are made again, also of a run that was ' +
        'verified. The run goes on with the fleet that is there; `rowfleet resume` brings one.',
    )
    .option('--run <id>', 'the run; the unfinished one by default')
    .option('--flow <name>', 'only this flow')
    .option('--failed', 'everything that failed')
    .option('--batch <id...>', 'these batches')
    .option('--reload', 'load again: the batches, the range, or all of the flow')
    .option('--range <from..to>', "driving rows by their key's first column; the end is not part of it")
    .option('--delete-vanished', 'of a run that was verified: delete what the source does not yield')
    .option('--withdraw', 'give up the reloads that are not done')
    .addHelpText(
      'after',
      '\nExample:\n  rowfleet requeue --run 12 --failed -c plan.yaml\n  rowfleet requeue --run 12 --batch 4711 4712 -c plan.yaml\n' +
        '  rowfleet requeue --run 12 --flow chunks --range 1000..2000 --reload -c plan.yaml',
    );
  withCommonOptions(command).action(
    perform(async (options: RequeueOptions) => {
      const runId = options.run === undefined ? undefined : runIdOf(options.run);
      const request = requestOf(options);
      return withChosenRun(options, runId, (ledger, { id }, { option }) =>
        withBell(ledger, async (bell) => {
          const { result, line } = await act(ledger, id, request, options);
          await bell.ring(id);
          if (options.json === true) emit('requeued', { run: id, ...result });
          else
            say(`run ${id}: ${line}`, `  rowfleet resume${option} ${id}   goes on with a fleet of its own`);
          return exitCode.verified;
        }),
      );
    }),
  );
}
