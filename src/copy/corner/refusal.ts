import { RowRefused } from '../../errors.ts';
import type { Refusal, RefusalStage } from '../../ledger/quarantine.ts';
import { columnOf, constraintOf, safeMessage, sqlState } from '../../pg/errors.ts';
import type { RelayOutcome } from '../../wire/relay.ts';

/** Where on the target a row with this SQLSTATE was refused. */
export const stageOf = (code: string): RefusalStage => (/^(23|44)/.test(code) ? 'constraint' : 'load');

/** What a server said about a range of one driving row. */
export function refusalOf({ side, error }: Extract<RelayOutcome, { kind: 'refused' }>): Refusal {
  if (error instanceof RowRefused) {
    const { stage, code, message, column } = error;
    return { stage, side, code, message, ...(column === undefined ? {} : { column }) };
  }
  const code = sqlState(error)!;
  const constraint = constraintOf(error);
  const column = columnOf(error);
  return {
    stage: side === 'source' ? 'extract' : stageOf(code),
    side,
    code,
    message: safeMessage(error).replace(/, line \d+ of the batch/, ''),
    ...(constraint === undefined ? {} : { constraint }),
    ...(column === undefined ? {} : { column }),
  };
}
