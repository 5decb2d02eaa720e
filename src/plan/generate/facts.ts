import { kindNames, type Relation } from '../../catalog/relations.ts';
import { ident } from '../../pg/quote.ts';
import type { PlanProblem } from '../problems.ts';
import { mapColumn } from '../resolve/columns.ts';
import { loadable, resolveLeaves } from '../resolve/relations.ts';
import { writeName } from '../sql/names.ts';
import { preflightSays, type Survey, type SurveyedTable } from './survey.ts';

const grouped = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });

/** `936 kB`, in powers of 1000. */
function sizeOf(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${grouped.format(bytes / 1000 ** power)} ${units[power]}`;
}

/** `~1,000 rows, 936 kB`. */
function amountOf({ size: { rows, bytes } }: SurveyedTable): string {
  if (rows === 0) return 'empty';
  return `${rows === undefined ? 'rows not known' : `~${grouped.format(rows)} rows`}, ${sizeOf(bytes)}`;
}

/** `key id`, `key a, b`, `no key`. */
export const keyOf = ({ key }: SurveyedTable): string =>
  key.length === 0 ? 'no key' : `key ${key.join(', ')}`;

/** What there is to know about a table before its rows are copied. */
export function factsOf({ side }: Survey, table: SurveyedTable): string[] {
  const { relation, partitions, columns } = table;
  const nameOf = (other: Relation) => writeName(other, side.searchPath);
  const namesOf = (oids: number[]) =>
    [...new Set(oids)].flatMap((oid) => side.relations.byOid(oid) ?? []).map(nameOf);
  const list = (label: string, names: string[]) =>
    names.length === 0 ? [] : [`${label} ${names.join(', ')}`];
  const plain = relation.kind === 'r';
  return [
    amountOf(table),
    ...(partitions.length === 0 ? [] : [`${partitions.length} partitions`]),
    keyOf(table),
    ...list('refers to', namesOf(table.references.map(({ to }) => to).filter((oid) => oid !== relation.oid))),
    ...(plain ? list('inherits from', namesOf(relation.parents)) : []),
    ...(plain ? list('inherited by', side.relations.children(relation).map(nameOf)) : []),
    ...list(
      'generated:',
      columns.filter(({ generated }) => generated).map(({ name }) => name),
    ),
    ...(relation.persistence === 'u' ? ['unlogged'] : []),
  ];
}

/** What begins a remark that preflight would make an error of. */
const refused = 'preflight refuses:';

const refusals = (problems: PlanProblem[]): string[] => {
  const errors = problems.filter(({ severity }) => severity === 'error').map(({ message }) => message);
  return [...new Set(errors)].map((message) => `${refused} ${message}`);
};

/** What preflight will refuse about reading a table, whatever is to become of its rows. */
export function faultsOfReading({ side }: Survey, table: SurveyedTable): string[] {
  return refusals(
    preflightSays(side, side, (ctx) => resolveLeaves(ctx, table.relation, table.relation.kind === 'r', []))
      .problems,
  );
}

/** What preflight will refuse about copying a table's values as they are. */
export function faultsOfValues({ side }: Survey, table: SurveyedTable): string[] {
  return table.columns.flatMap((column) => {
    const expression = ident(column.name);
    const { problems } = preflightSays(side, side, (ctx) =>
      mapColumn(ctx, { expression, ...column }, column, []),
    );
    return refusals(problems).map((text) => text.replace(refused, `${refused} ${column.name}:`));
  });
}

/** What preflight will refuse about filling a table. */
export function faultsOfFilling({ side }: Survey, table: SurveyedTable): string[] {
  return refusals(preflightSays(side, side, (ctx) => loadable(ctx, table.relation, [])).problems);
}

/** What a relation is that is no table to be copied: `view`, `table of an extension`. */
export const whatItIs = ({ kind, ofExtension }: Relation): string =>
  ofExtension ? 'of an extension, which brings its own rows' : kindNames[kind];
