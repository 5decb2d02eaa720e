import { ident, literal } from '../pg/quote.ts';
import type { ResolvedFlow } from './types.ts';

/** Driving rows that a flow is to be read without. */
export interface ExcludedRows {
  /** Key column of the driving table → its value as text. */
  keys: Record<string, string>[];
  /** Where there is no key: leaf (index into the flow's leaves) and ctid. */
  tids: { leaf: number; tid: string }[];
}

const array = (values: string[], type: string): string =>
  `array[${values.map(literal).join(', ')}]::pg_catalog.${type}[]`;

// `not in` of a subquery is hashed by every server version, however long the list; keys and ctids are never null.
function keyCondition({ alias, drivingKey }: ResolvedFlow, keys: ExcludedRows['keys']): string {
  const columns = drivingKey.map((name) => `${alias}.${ident(name)}::pg_catalog.text`);
  const values = drivingKey.map((name) =>
    array(
      keys.map((key) => key[name]!),
      'text',
    ),
  );
  return `(${columns.join(', ')}) not in (select * from rows from (${values.map((each) => `pg_catalog.unnest(${each})`).join(', ')}) as excluded)`;
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

/** The flow without some of its driving rows. */
export function withoutRows(flow: ResolvedFlow, { keys, tids }: ExcludedRows): ResolvedFlow {
  const conditions = [
    ...(keys.length === 0 ? [] : [keyCondition(flow, keys)]),
    ...(tids.length === 0 ? [] : [tidCondition(flow, tids)]),
    ...(flow.where === '' ? [] : [`(${flow.where}\n)`]),
  ];
  return { ...flow, where: conditions.join(' and ') };
}
