import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { RowEdit } from '../../../../src/control/edited-rows.ts';
import { type RowsSettled, sealFrom, sendRefused } from '../../../../src/control/quarantine.ts';
import { usageError } from '../../../../src/errors.ts';
import type { Ledger } from '../../../../src/ledger/ledger.ts';
import { readProgress } from '../../../../src/progress/snapshot.ts';
import { plural } from '../../../units.ts';
import { requireFleetEnvironment, withChosenRun, withTargetOption } from '../../chosen-run.ts';
import { emit, perform, say, withCommonOptions } from '../../command.ts';
import { followRun } from '../../execute.ts';
import { type ExitCode, exitCode } from '../../exit-code.ts';
import { rowIdsOf, type SelectOptions, selectionOf, withSelectOptions } from '../../quarantine-options.ts';
import { withBell } from '../../queue.ts';
import { renderLeft } from '../../render/quarantine.ts';
import { actor } from '../../target.ts';

interface RetryOptions extends SelectOptions {
  from?: string;
  asSource?: boolean;
  attach?: boolean;
}

const badLine = (at: string, what: string) =>
  usageError(
    'EDIT_INVALID',
    `${at}: ${what}`,
    'one object a line, as rowfleet quarantine export writes them',
  );

function editOf(line: string, at: string): RowEdit {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    throw badLine(at, 'is not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null) throw badLine(at, 'is no object');
  const {
    id,
    target_rows: targetRows,
    run,
    flow,
    source_key,
    refused_at,
  } = parsed as Record<string, unknown>;
  if (typeof id !== 'string' && typeof id !== 'number') throw badLine(at, 'has no id');
  return { id: rowIdsOf([String(id)])[0]!, of: { run, flow, source_key, refused_at }, targetRows, at };
}

/** The rows of a file that `export` wrote and a person edited; each once. */
function readEdits(file: string): RowEdit[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw usageError(
      'FILE_NOT_READ',
      `${file}: ${(error as Error).message}`,
      'name the file that export wrote',
    );
  }
  const edits: RowEdit[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const edit = editOf(line, `${file}:${i + 1}`);
    if (edits.some(({ id }) => id === edit.id)) throw badLine(edit.at, `holds row ${edit.id} again`);
    edits.push(edit);
  }
  if (edits.length === 0) throw badLine(file, 'holds no row');
  return edits;
}

async function hasFleet(ledger: Ledger, runId: string): Promise<boolean> {
  const { workers, run } = await readProgress(ledger, runId);
  return run.state === 'running' && workers.some(({ kind }) => kind === 'scheduler');
}

function report(runId: string, sent: RowsSettled, options: RetryOptions): void {
  const edited = sent.edited === 0 ? '' : `, ${sent.edited} of them as edited`;
  if (options.json === true) emit('sent', { run: runId, ...sent });
  else say(`run ${runId}: ${plural(sent.rows, 'row')} sent again${edited}`, ...renderLeft(sent.left));
}

async function retry(options: RetryOptions, given: string[]): Promise<ExitCode> {
  const { runId, ...rows } = selectionOf(options, given, { from: options.from !== undefined });
  if (options.asSource === true && (rows.ids === undefined || options.from !== undefined))
    throw usageError(
      'SELECTION_MISSING',
      '--as-source takes back edits of rows named by id',
      'name the rows by id alone',
    );
  const edits = options.from === undefined ? [] : readEdits(options.from);
  const named = options.from !== undefined && rows.ids === undefined ? edits.map(({ id }) => id) : rows.ids;
  return withChosenRun(options, runId, async (ledger, run, site) => {
    const goesOnBySelf = await hasFleet(ledger, run.id);
    if (!goesOnBySelf && options.attach !== true) await requireFleetEnvironment(site, run);
    const request = {
      ...rows,
      ...(named && { ids: named }),
      edits,
      asSource: options.asSource === true,
      actor: actor(),
    };
    const sent = await withBell(ledger, async (bell) => {
      const settled = await sendRefused(ledger, run.id, request, sealFrom(process.env));
      await bell.ring(run.id);
      return settled;
    });
    report(run.id, sent, options);
    if (goesOnBySelf && options.attach !== true) {
      if (options.json !== true)
        say(`  rowfleet status ${run.id}${site.option}   shows what becomes of them`);
      return exitCode.verified;
    }
    return followRun(ledger, site, run.id, { ...options, loaders: run.plan.settings.parallelWorkers });
  });
}

/** `rowfleet quarantine retry`: sends refused rows again and lets their run go on to its end. */
export function addRetry(group: Command): void {
  const command = group
    .command('retry')
    .summary('send refused rows again')
    .description(
      'Sends refused rows again, each as the plan yields it from the source as it is now, or with --from as it was edited. ' +
        'What is refused once more goes back into quarantine with the new reason. A run that has ended goes on, is verified ' +
        'anew, and ends with 0 when nothing is left in quarantine. Brings a fleet as resume does; where the run has one, ' +
        'the command ends when the rows are sent.',
    )
    .argument('[id...]', 'ids of rows');
  withTargetOption(withSelectOptions(command))
    .option('--from <file>', 'rows as export wrote them: those whose target_rows were edited are loaded so')
    .option(
      '--as-source',
      'of rows that are loaded as edited: put what the plan yields in the place of the edit',
    )
    .option('--attach', 'only send the rows, and watch a fleet that is there')
    .addHelpText(
      'after',
      '\nExample:\n  rowfleet quarantine retry --all -c plan.yaml\n  rowfleet quarantine retry --from rows.ndjson -c plan.yaml',
    );
  withCommonOptions(command).action(
    perform((options: RetryOptions, given: string[]) => retry(options, given)),
  );
}
