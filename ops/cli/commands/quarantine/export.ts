import { once } from 'node:events';
import { type FileHandle, open, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Command } from 'commander';
import { identityOf } from '../../../../src/control/edited-rows.ts';
import { withLedger } from '../../../../src/control/open.ts';
import { usageError } from '../../../../src/errors.ts';
import type { Ledger } from '../../../../src/ledger/ledger.ts';
import type { QuarantinedRow } from '../../../../src/ledger/read-quarantine.ts';
import { chooseQuarantine, eachRow } from '../../../../src/progress/quarantine.ts';
import { shellWord } from '../../../../src/shell-word.ts';
import { plural } from '../../../units.ts';
import { emit, perform, say, withCommonOptions } from '../../command.ts';
import { exitCode } from '../../exit-code.ts';
import { type LookOptions, lookAt, rowIdsOf, statesOf, withLookOptions } from '../../quarantine-options.ts';
import { keyLack } from '../../render/quarantine.ts';
import { runIdOf } from '../../target.ts';

interface ExportOptions extends LookOptions {
  run?: string;
  out?: string;
}

/** A row as people edit it: `target_rows` is what `retry --from` reads, the rest tells what it is about. */
function lineOf(row: QuarantinedRow): string {
  if (row.values === undefined)
    throw usageError(
      'SEAL_KEY_MISSING',
      `row ${row.id} is encrypted, and ${keyLack(process.env)}`,
      'set it to the key that the loaders had',
    );
  const { sourceRow, targetRows, edited } = row.values;
  return `${JSON.stringify({
    ...{ id: row.id, ...identityOf(row), table: row.relation, state: row.state },
    ...{ stage: row.stage, code: row.code, constraint: row.constraint ?? null, column: row.column ?? null },
    ...{ message: row.message, source_row: sourceRow },
    target_rows: edited ?? targetRows,
  })}\n`;
}

/** Writes a file that only its owner reads, whole or not at all; one that is there is never written over. */
async function writeFile<T>(path: string, write: (file: Writable) => Promise<T>): Promise<T> {
  const file = (await openNew(path)).createWriteStream();
  try {
    const result = await write(file);
    file.end();
    await finished(file);
    return result;
  } catch (error) {
    file.destroy();
    await rm(path);
    throw error;
  }
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw usageError(
      'FILE_NOT_WRITTEN',
      exists ? `${path} exists` : `${path} cannot be written: ${(error as Error).message}`,
      'name another file',
    );
  }
}

async function writeRows(
  ledger: Ledger,
  filter: Parameters<typeof eachRow>[1],
  out: Writable,
): Promise<number> {
  let rows = 0;
  for await (const row of eachRow(ledger, filter, process.env)) {
    if (!out.write(lineOf(row))) await once(out, 'drain');
    rows++;
  }
  return rows;
}

/** `rowfleet quarantine export`: rows as NDJSON, to be edited and given back. */
export function addExport(group: Command): void {
  const command = group
    .command('export')
    .summary('write rows as NDJSON, to be edited and sent again')
    .description(
      'Writes refused rows as NDJSON, one object a line, to stdout or to a new file that only its owner can read. Edit ' +
        'target_rows and give the file to retry --from: what is edited is loaded as it stands there. Holds row values.',
    )
    .argument('[id...]', 'ids of rows; all rows of the run that are not loaded by default')
    .option('--run <id>', 'id of the run; the latest with rows in quarantine by default')
    .option('--out <file>', 'a new file to write to');
  withLookOptions(command).addHelpText(
    'after',
    '\nExample:\n  rowfleet quarantine export --out rows.ndjson -c plan.yaml\n  rowfleet quarantine retry --from rows.ndjson -c plan.yaml',
  );
  withCommonOptions(command).action(
    perform(async (options: ExportOptions, given: string[]) => {
      const ids = rowIdsOf(given);
      const states = statesOf(options);
      const { target, planName } = lookAt(options);
      await withLedger(target, async (ledger) => {
        const runId = options.run === undefined ? undefined : runIdOf(options.run);
        const filter = {
          ...(ids.length > 0
            ? { ids, ...(runId && { runId }) }
            : { states, runId: await chooseQuarantine(ledger, planName, runId) }),
          ...(options.flow === undefined ? {} : { flow: options.flow }),
        };
        if (options.out === undefined) return void (await writeRows(ledger, filter, process.stdout));
        const rows = await writeFile(options.out, (file) => writeRows(ledger, filter, file));
        if (options.json === true) emit('exported', { rows, file: options.out });
        else say(`${plural(rows, 'row')} in ${options.out}: edit target_rows, then`, retryLine(options));
      });
      return exitCode.verified;
    }),
  );
}

const retryLine = ({ out, config }: ExportOptions): string =>
  `  rowfleet quarantine retry --from ${shellWord(out!)}${config === undefined ? '' : ` -c ${shellWord(config)}`}`;
