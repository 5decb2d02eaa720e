import { handed, handOver } from '../../pg/hand-over.ts';
import { ident, literal } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import type { ResolvedFlow } from '../resolved-plan.ts';
import { type UnitKey, withoutUnits } from './key-units.ts';
import { isCutByKey } from './select.ts';

/** Driving rows that a flow is to be read without. */
export interface ExcludedRows {
  /** Key column of the driving table → its value as text; of a flow that is cut by key, the keys of its units. */
  keys: UnitKey[];
  /** Where there is no key: leaf (index into the flow's leaves) and ctid. */
  tids: { leaf: number; tid: string }[];
  /** Driving rows that these are, as they were refused. */
  driving: number;
}

const array = (values: string[], type: string): string =>
  `array[${values.map(literal).join(', ')}]::pg_catalog.${type}[]`;

// `not in` of a subquery is hashed by every server version, however long the list; keys and ctids are never null.
async function keyCondition(
  source: Session,
  { name, alias, drivingKey }: ResolvedFlow,
  keys: ExcludedRows['keys'],
): Promise<string[]> {
  const columns = drivingKey.map((column) => `${alias}.${ident(column)}::pg_catalog.text`);
  const records = keys.map((key) => drivingKey.map((column) => key[column]!));
  const from = await handOver(source, 'excluded', name, records);
  return [
    `(${columns.join(', ')}) not in (select ${drivingKey.map((_, i) => handed(i)).join(', ')} from ${from})`,
  ];
}

function tidCondition({ alias, leaves }: ResolvedFlow, tids: ExcludedRows['tids']): string {
  const oids = array(
    tids.map(({ leaf }) => String(leaves[leaf]!.oid)),
    'oid',
  );
  const places = array(
    tids.map(({ tid }) => tid),
    'tid',
  );
  return `(${alias}.tableoid, ${alias}.ctid) not in (select * from rows from (pg_catalog.unnest(${oids}), pg_catalog.unnest(${places})) as excluded)`;
}

/** The flow without some of its driving rows, for the source transaction that the caller has open. */
export async function withoutRows(
  source: Session,
  flow: ResolvedFlow,
  { keys, tids }: ExcludedRows,
): Promise<ResolvedFlow> {
  const byKey = isCutByKey(flow) ? withoutUnits : keyCondition;
  const conditions = [
    ...(keys.length === 0 ? [] : await byKey(source, flow, keys)),
    ...(tids.length === 0 ? [] : [tidCondition(flow, tids)]),
    ...(flow.where === '' ? [] : [`(${flow.where}\n)`]),
  ];
  return { ...flow, where: conditions.join(' and ') };
}
