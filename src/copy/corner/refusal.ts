import { RowRefused } from '../../errors.ts';
import type { Refusal, RefusalStage } from '../../ledger/quarantine.ts';
import { columnOf, constraintOf, safeMessage, sqlState } from '../../pg/errors.ts';
import { RowsRefused, TransformThrew } from '../../transform/errors.ts';
import type { RelayOutcome } from '../../wire/relay-types.ts';
import type { CorneredUnit } from './context.ts';

/** Where on the target a row with this SQLSTATE was refused. */
export const stageOf = (code: string): RefusalStage => (/^(23|44)/.test(code) ? 'constraint' : 'load');

type Refused = Extract<RelayOutcome, { kind: 'refused' }>;

const placeInBatch =
  / for rows? [\d to]+ of the batch| \(rows? [\d to]+ of the batch\)|, line \d+ of the batch/;

/** Longer texts of errors are cut. */
const mostCharacters = 65_536;

/** What was thrown for a row, with its own words and places in the code; null where nothing was. Holds row values. */
export function traceOf(error: Error): string | null {
  const refused = error instanceof RowsRefused ? error.rows[0]! : error;
  if (!(refused instanceof TransformThrew)) return null;
  const said = refused.sealedMessage().slice(0, mostCharacters);
  return [`${refused.thrown}: ${said}`, ...refused.frames.map((frame) => `    at ${frame}`)].join('\n');
}

/** What was said about a range of one driving row: by a server, or on the way between them. */
export function refusalOf({ side, error }: Refused): Refusal {
  if (error instanceof RowRefused) {
    const { stage, code, message, column } = error;
    const told = message.replace(placeInBatch, '');
    return { stage, side, code, message: told, ...(column === undefined ? {} : { column }) };
  }
  const code = sqlState(error)!;
  const constraint = constraintOf(error);
  const column = columnOf(error);
  return {
    stage: side === 'source' ? 'extract' : stageOf(code),
    side,
    code,
    message: safeMessage(error).replace(placeInBatch, ''),
    ...(constraint === undefined ? {} : { constraint }),
    ...(column === undefined ? {} : { column }),
  };
}

/** Driving rows of a range that its transform refused, each as it would be alone; empty where it was refused otherwise. */
export function gatheredRows({
  side,
  error,
}: Refused): (Pick<CorneredUnit, 'refusal' | 'trace'> & { tid: string })[] {
  if (!(error instanceof RowsRefused)) return [];
  return error.rows.map((row) => ({
    tid: row.key()[0]!,
    refusal: refusalOf({ kind: 'refused', side, error: row }),
    trace: traceOf(row),
  }));
}
