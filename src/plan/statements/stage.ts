import { display, ident, qualified, type RelationName } from '../../pg/quote.ts';
import type { ResolvedColumn, ResolvedFlow, ResolvedLookup } from '../resolved-plan.ts';
import { carried, carriedFor, ordering } from './select.ts';

/** Whether values of a flow are looked up in the target. */
export const looksUp = ({ columns }: ResolvedFlow): boolean =>
  columns.some(({ lookup }) => lookup !== undefined);

/** Whether rows come down on a stage first: from there values are looked up, or old keys join those that an id map has. */
export const needsStage = (flow: ResolvedFlow): boolean => looksUp(flow) || flow.idMap !== undefined;

/** The columns that a flow's rows have where they come down: the target's, and what decides between those with one key. */
export const landingColumns = (flow: ResolvedFlow): string =>
  [...flow.columns, ...ordering(flow)].map(({ name }) => ident(name)).join(', ');

/** The columns of a stage, quoted, in the order in which they travel: called as the target's, so that a refusal names those. */
export function stageColumns(flow: ResolvedFlow): string[] {
  const names = flow.columns.flatMap((column, i) =>
    carriedFor(column).map((_, k) => (k === 0 ? column.name : `rowfleet_key_${i + 1}_${k + 1}`)),
  );
  return [...names, ...ordering(flow).map(({ name }) => name)].map(ident);
}

/** The same as SQL that defines them. */
export function stageDefinition(flow: ResolvedFlow): string {
  const names = stageColumns(flow);
  return carried(flow)
    .map(({ targetType }, i) => `${names[i]} ${targetType}`)
    .join(', ');
}

/** A column that is looked up, and how. */
export interface LookedUp {
  column: ResolvedColumn;
  lookup: ResolvedLookup;
  alias: string;
  /** What the looked-up row must be like. */
  same: string;
  /** The stage's columns that hold the key. */
  keys: string[];
}

/** The values of each landing column, with the stage as `s`, and the columns that are looked up. */
export function layOut(flow: ResolvedFlow): { values: string[]; lookups: LookedUp[] } {
  const names = stageColumns(flow).map((name) => `s.${name}`);
  let next = 0;
  const lookups: LookedUp[] = [];
  const values = flow.columns.map((column, i) => {
    if (column.lookup === undefined) return names[next++]!;
    const alias = `l${i + 1}`;
    const keys = column.lookup.by.map(() => names[next++]!);
    const same = column.lookup.by.map(({ name }, k) => `${alias}.${ident(name)} = ${keys[k]}`).join(' and ');
    lookups.push({ column, lookup: column.lookup, alias, same, keys });
    return `${alias}.${ident(column.lookup.take)}`;
  });
  const others = ordering(flow).map(() => names[next++]!);
  return { values: [...values, ...others], lookups };
}

/** A statement that brings rows from a stage to where they come down, with what is looked up. */
export function landFromStage(flow: ResolvedFlow, stage: string, into: RelationName): string {
  const { values, lookups } = layOut(flow);
  const joins = lookups.map(
    ({ lookup, alias, same }) => `left join ${qualified(lookup.relation)} as ${alias} on ${same}`,
  );
  return `insert into ${qualified(into)} (${landingColumns(flow)}) overriding system value
    select ${values.join(', ')} from ${stage} s ${joins.join(' ')}${flow.idMap === undefined ? '' : ' on conflict do nothing'}`;
}

/** A statement that gives a row where a key does not lead to one row, and what that means. */
export interface KeyFault {
  sql: string;
  column: string;
  message: string;
}

const placeOf = ({ relation, idMap }: ResolvedLookup): string =>
  idMap === undefined ? display(relation) : `id map ${idMap}`;

/** How keys that must be there, and are not, are found on a stage. */
export function missingKeys(flow: ResolvedFlow, stage: string): KeyFault[] {
  return layOut(flow)
    .lookups.filter(({ lookup }) => lookup.missing === 'error')
    .map(({ column, lookup, alias, same, keys }) => ({
      sql: `select 1 from ${stage} s where ${keys.map((key) => `${key} is not null`).join(' and ')}
        and not exists (select from ${qualified(lookup.relation)} as ${alias} where ${same}) limit 1`,
      column: column.name,
      message: `${display(flow.target)}: the key for ${column.name} is not in ${placeOf(lookup)}`,
    }));
}

/** How keys are found on a stage that several rows have where one is looked for. The keys of id maps are unique at any time. */
export function doubledKeys(flow: ResolvedFlow, stage: string): (KeyFault & { lookup: ResolvedLookup })[] {
  return layOut(flow)
    .lookups.filter(({ lookup }) => lookup.idMap === undefined)
    .map(({ column, lookup, alias, same, keys }) => ({
      sql: `select 1 from (select distinct ${keys.join(', ')} from ${stage} s) as s
        join ${qualified(lookup.relation)} as ${alias} on ${same} group by ${keys.join(', ')}
        having pg_catalog.count(*) > 1 limit 1`,
      column: column.name,
      message: `${display(flow.target)}: several rows of ${display(lookup.relation)} have the key (${lookup.by
        .map(({ name }) => name)
        .join(', ')}) that ${column.name} is looked up by`,
      lookup,
    }));
}
