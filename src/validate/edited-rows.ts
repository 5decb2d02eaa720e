import type { TargetRow } from '../ledger/read-quarantine.ts';
import { type HandedRecord, handed, handOver } from '../pg/hand-over.ts';
import { qualified } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedFlow } from '../plan/resolved-plan.ts';
import { planQuery } from '../plan/sql/query.ts';
import { type HashedColumn, hashedAsOwnType } from './row-hash.ts';

/** Each column's type as the target names it, with typmod. */
async function typesOf(target: Session, flow: ResolvedFlow): Promise<Map<string, string>> {
  const { rows } = await target.query<{ name: string; type: string }>(
    `select attname::text as name, pg_catalog.format_type(atttypid, atttypmod) as type
       from pg_catalog.pg_attribute where attrelid = $1::pg_catalog.regclass and attnum > 0 and not attisdropped`,
    [qualified(flow.target)],
  );
  return new Map(rows.map(({ name, type }) => [name, type]));
}

/**
 * What people made of rows of a flow, as a SELECT for the source side of a digest: each value as the target's type reads
 * and writes it, so that 1.005 in a numeric(6,2) is expected as 1.01.
 * @param other SQL of what a column is expected to hold that the flow leaves to its default
 */
export async function selectEdited(
  sides: { source: Session; target: Session },
  flow: ResolvedFlow,
  rows: TargetRow[],
  columns: HashedColumn[],
  other: (column: HashedColumn) => string,
): Promise<string> {
  if (columns.length === 0) return `select from pg_catalog.generate_series(1, ${rows.length})`;
  const types = await typesOf(sides.target, flow);
  const filled = flow.columns.map(({ name }) => name).filter((name) => types.has(name));
  const list = filled.map((name, i) => `$${i + 1}::${types.get(name)}::pg_catalog.text as c${i + 1}`);
  const records: HandedRecord[] = [];
  for (const row of rows) {
    const { rows: read } = await planQuery<Record<string, string | null>>(
      sides.target,
      `select ${list.join(', ')}`,
      filled.map((name) => row[name] ?? null),
    );
    records.push(columns.map(({ name }) => read[0]![`c${filled.indexOf(name) + 1}`] ?? null));
  }
  const values = columns.map((column, i) => {
    if (!filled.includes(column.name)) return other(column);
    return `${handed(i)}::${hashedAsOwnType(column) ? column.targetType : 'pg_catalog.text'}`;
  });
  const from = await handOver(sides.source, 'edited', flow.name, records);
  return `select ${values.map((value, i) => `${value} as c${i + 1}`).join(', ')} from ${from}`;
}
