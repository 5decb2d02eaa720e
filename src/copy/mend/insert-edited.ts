import type { TargetRow } from '../../ledger/read-quarantine.ts';
import { classify } from '../../pg/failure-class.ts';
import { ident, qualified } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import { underSavepoint } from '../../pg/transaction.ts';
import type { ResolvedFlow } from '../../plan/resolved-plan.ts';
import { planQuery } from '../../plan/sql/query.ts';
import type { RelayOutcome } from '../../wire/relay-types.ts';

/** One row, each value read by its column's type as COPY reads it. */
function insertStatement(flow: ResolvedFlow): string {
  const names = flow.columns.map(({ name }) => ident(name));
  if (names.length === 0) return `insert into ${qualified(flow.target)} default values`;
  const values = names.map((_, i) => `$${i + 1}`);
  return `insert into ${qualified(flow.target)} (${names.join(', ')}) overriding system value values (${values.join(', ')})`;
}

/** Inserts one row as a person wrote it; returns how many the target took. */
export async function insertWritten(target: Session, flow: ResolvedFlow, row: TargetRow): Promise<number> {
  const values = flow.columns.map(({ name }) => row[name] ?? null);
  return (await planQuery(target, insertStatement(flow), values)).rowCount ?? 0;
}

/** Inserts what a person made of one driving row, all of it or none. Throws what is no row's fault. */
export async function insertEdited(
  target: Session,
  flow: ResolvedFlow,
  rows: TargetRow[],
): Promise<RelayOutcome> {
  const isOfRow = (error: unknown) => classify(error, 'target') === 'row';
  const outcome = await underSavepoint(target, isOfRow, async () => {
    let rowsIn = 0;
    for (const row of rows) rowsIn += await insertWritten(target, flow, row);
    return rowsIn;
  });
  if (outcome.kind === 'undone') return { kind: 'refused', side: 'target', error: outcome.error as Error };
  return { kind: 'copied', rowsOut: rows.length, rowsIn: outcome.value, bytes: 0 };
}
