import type { Refusal } from '../../ledger/quarantine.ts';
import type { SentRow } from '../../ledger/sent-rows.ts';
import { ident, qualified } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import type { ResolvedFlow } from '../../plan/resolved-plan.ts';
import { planQuery } from '../../plan/sql/query.ts';
import { type UnitKey, unitFrame, unitRange } from '../../plan/statements/key-units.ts';
import { isCutByKey, rangeConditions, rowRange, selectRows } from '../../plan/statements/select.ts';
import type { Unit } from '../corner/context.ts';

/** Where a driving row is by now. */
export type FoundAt =
  | ({ kind: 'there' } & Unit)
  /** The source has it no more, or not as this row: there is nothing to load. In words, for its history. */
  | { kind: 'gone'; how: string }
  | { kind: 'lost'; refusal: Refusal };

function at(flow: ResolvedFlow, leaf: number, tid: string): FoundAt {
  return { kind: 'there', range: rowRange(flow.leaves[leaf]!, tid) };
}

/** By its key. Equality lets an index find it; the text settles what a collation or a type calls equal. */
async function findByKey(source: Session, flow: ResolvedFlow, key: UnitKey): Promise<FoundAt> {
  const names = Object.keys(key);
  // Twice, since each place gives a parameter its type.
  const conditions = names.map(
    (name, i) => `d.${ident(name)} = $${2 * i + 1} and d.${ident(name)}::pg_catalog.text = $${2 * i + 2}`,
  );
  const { rows } = await planQuery<{ oid: string; tid: string }>(
    source,
    `select d.tableoid::pg_catalog.int8 as oid, d.ctid as tid
       from ${flow.only ? 'only ' : ''}${qualified(flow.driving)} as d where ${conditions.join(' and ')}`,
    names.flatMap((name) => [key[name], key[name]]),
  );
  if (rows[0] === undefined) return { kind: 'gone', how: 'gone from the source' };
  const leaf = flow.leaves.findIndex(({ oid }) => String(oid) === String(rows[0]!.oid));
  if (leaf !== -1) return at(flow, leaf, rows[0].tid);
  const message = 'the row stands in a partition that the plan does not know: start a new run';
  return { kind: 'lost', refusal: { stage: 'extract', side: 'source', code: 'ROW_LOST', message } };
}

/**
 * A row without a key is known by its place and its values. Where one of them changed it may be any row, or none: the
 * checks tell whether one is missing then.
 */
async function findByPlace(source: Session, flow: ResolvedFlow, row: SentRow): Promise<FoundAt> {
  const { rows } = await planQuery<{ same: boolean }>(
    source,
    `select pg_catalog.row_to_json(d.*)::pg_catalog.text = $1 as same
       from only ${qualified(flow.leaves[row.leaf]!)} as d where d.ctid = $2::pg_catalog.tid`,
    [row.sourceRow ?? '', row.tid],
  );
  if (rows[0]?.same === true) return at(flow, row.leaf, row.tid!);
  return { kind: 'gone', how: 'not where it stood, and it has no key: what it became counts as another row' };
}

/** What is told by its key, a group or a row that is updated in place: any row of it will do. */
async function findUnit(source: Session, flow: ResolvedFlow, key: UnitKey): Promise<FoundAt> {
  const range = await unitRange(source, flow, key);
  const rows = selectRows(unitFrame(flow), ['1'], { conditions: rangeConditions(flow.alias, range) });
  const { rowCount } = await planQuery(source, `${rows} limit 1`);
  return rowCount === 0 ? { kind: 'gone', how: 'gone from the source' } : { kind: 'there', range, key };
}

/** Finds what was refused, as the source has it now. Throws GROUP_UNKNOWN. */
export function findRow(source: Session, flow: ResolvedFlow, row: SentRow): Promise<FoundAt> {
  if (row.sourceKey === null) return findByPlace(source, flow, row);
  return isCutByKey(flow) ? findUnit(source, flow, row.sourceKey) : findByKey(source, flow, row.sourceKey);
}
