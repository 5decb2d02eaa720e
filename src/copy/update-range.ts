import { RowRefused } from '../errors.ts';
import { classify } from '../pg/failure-class.ts';
import { display } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { underSavepoint } from '../pg/transaction.ts';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';
import { planQuery } from '../plan/sql/query.ts';
import { backfillLock, backfillStatement } from '../plan/statements/backfill.ts';
import type { Range } from '../plan/statements/select.ts';
import type { LoadOutcome } from './load-range.ts';

/** How long an update waits for a row that the application has locked, before the batch is tried again, and halved. */
const lockTimeout = '5s';

/** Updates the rows of a range that do not hold yet what the mapping says, as they are now. Returns how many the range has. */
export async function updateRange(target: Session, flow: ResolvedFlow, range: Range) {
  await target.query(`set local lock_timeout = '${lockTimeout}'`);
  await planQuery(target, backfillLock(flow, range));
  const { rows } = await planQuery<{ yielded: string; keys: string; updated: string }>(
    target,
    backfillStatement(flow, range),
  );
  const { yielded, keys, updated } = rows[0]!;
  if (yielded !== keys)
    throw new RowRefused(
      'JOIN_MULTIPLIES',
      `${flow.name}: the join gives several values for one row of ${display(flow.target)}`,
      {
        stage: 'load',
        hint: 'mend the join, so that it meets one row at most, then revise the plan',
      },
    );
  return { rows: Number(yielded), updated: Number(updated) };
}

const isOfRow = (error: unknown): boolean => classify(error, 'target') === 'row';

/** Like `updateRange`, but a refusal undoes no more than itself. Throws what is no row's fault. */
export async function tryUpdateRange(
  target: Session,
  flow: ResolvedFlow,
  range: Range,
): Promise<LoadOutcome> {
  const outcome = await underSavepoint(target, isOfRow, () => updateRange(target, flow, range));
  if (outcome.kind === 'undone') return { kind: 'refused', side: 'target', error: outcome.error as Error };
  const { rows } = outcome.value;
  return { kind: 'copied', rowsOut: rows, rowsIn: rows, bytes: 0 };
}

/** Undoes what was only tried. */
class Tried extends Error {}

/** The first column whose new value alone is refused in a range; nothing is changed. Of an UPDATE the server does not tell. */
export async function findRefusedColumn(
  target: Session,
  flow: ResolvedFlow,
  range: Range,
): Promise<string | undefined> {
  for (const column of flow.columns) {
    const isExpected = (error: unknown) => error instanceof Tried || isOfRow(error);
    const outcome = await underSavepoint(target, isExpected, async () => {
      await updateRange(target, { ...flow, columns: [column] }, range);
      throw new Tried();
    });
    if (outcome.kind === 'undone' && !(outcome.error instanceof Tried)) return column.name;
  }
  return undefined;
}
