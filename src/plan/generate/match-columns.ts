import type { Column } from '../../catalog/columns.ts';
import { nearest } from '../../nearest.ts';
import { writeIdentifier } from '../sql/names.ts';
import { folded, type Pairing, pairUp } from './alike.ts';
import { fitColumn } from './fit-column.ts';
import type { Survey, SurveyedTable } from './survey.ts';

/** What becomes of one target column. */
export type ColumnChoice = { column: Column; notes: string[] } & (
  | /** It gets an expression; `same`: name and meaning are the source column's. */
  { kind: 'mapped'; expression: string; same: boolean }
  /** Nobody but people can say what it gets. */
  | { kind: 'gap'; decide: string }
  /** It gets its default or NULL, unless someone gives it an expression, perhaps this one. */
  | { kind: 'left out'; expression?: string }
  /** The target computes it. */
  | { kind: 'generated' }
);

export interface ColumnMatch {
  /** In the target's order. */
  choices: ColumnChoice[];
  /** Source columns that get nowhere. */
  notCopied: Column[];
}

/** Two tables that a flow leads from and to, and the databases they are in. */
export interface Ends {
  source: Survey;
  target: Survey;
  from: SurveyedTable;
  to: SurveyedTable;
  /** Of the driving table. */
  alias: string;
}

function mapped({ source, target, alias }: Ends, pairing: Pairing<Column>): ColumnChoice {
  const { source: from, target: column } = pairing;
  const expression = `${alias}.${writeIdentifier(from.name)}`;
  const fit = fitColumn(source.side, target.side, from, expression, column);
  if ('decide' in fit) return { kind: 'gap', column, notes: [], decide: fit.decide };
  const types = `${from.type} into ${column.type}`;
  const said = fit.warnings.some((warning) => warning.startsWith(types));
  const stricter = column.notNull && !from.notNull;
  const notes = [
    ...(pairing.reading > 0 ? ['proposed: the names are alike'] : []),
    ...(from.type === column.type || said ? [] : [types]),
    ...fit.warnings,
    ...(fit.mayRefuse ? ['a value that does not convert is refused'] : []),
    ...(stricter ? ['nullable in the source, NOT NULL in the target: a row with NULL is refused'] : []),
  ];
  const same = pairing.reading === 0 && fit.warnings.length === 0 && !fit.cast && !stricter;
  return { kind: 'mapped', column, notes, expression: fit.expression, same };
}

/** The source column that an unmatched target column may have been, or may be filled from. */
function suggestion({ from, to }: Ends, column: Column, notCopied: Column[]): Column | undefined {
  const only = from.key.length === 1 && to.key.length === 1 && to.key[0] === column.name;
  const key = only ? notCopied.find(({ name }) => name === from.key[0]) : undefined;
  const near = nearest(
    column.name,
    notCopied.map(({ name }) => name),
  );
  return key ?? notCopied.find(({ name }) => name === near);
}

function unmatched(ends: Ends, column: Column, notCopied: Column[]): ColumnChoice {
  if (column.generated) return { kind: 'generated', column, notes: ['generated: the target computes it'] };
  const { from, to, target, alias } = ends;
  const near = suggestion(ends, column, notCopied);
  const expression = near && `${alias}.${writeIdentifier(near.name)}`;
  const fills = column.identity ? 'its identity' : column.hasDefault ? 'its default' : undefined;
  const isKey = to.key.includes(column.name);
  const reference = to.references.find(({ columns }) => columns.includes(column.name));
  const referred = reference && target.side.relations.byOid(reference.to);
  const notes = [
    `${column.type}${column.notNull ? ' NOT NULL' : ''}`,
    ...(isKey ? [`of the key of ${to.relation.name}`] : []),
    ...(referred
      ? [`refers to ${referred.name} (${reference.toColumns[reference.columns.indexOf(column.name)]})`]
      : []),
    `no such column in ${from.relation.name}`,
    ...(expression === undefined ? [] : [`near: ${expression} (${near!.type})`]),
  ];
  // A key that the target makes up is another one than what the source's other tables refer to.
  if (isKey || (column.notNull && fills === undefined)) {
    const without = fills === undefined ? [] : [`without the line, ${fills} fills it`];
    return { kind: 'gap', column, notes: [], decide: [...notes, ...without].join('; ') };
  }
  return {
    kind: 'left out',
    column,
    ...(expression === undefined ? {} : { expression }),
    notes: [fills === undefined ? 'stays NULL' : `gets ${fills}`, ...notes],
  };
}

/** What each target column gets from the source table, as far as names and types tell. */
export function matchColumns(ends: Ends): ColumnMatch {
  const { from, to } = ends;
  const generated = new Set(to.columns.filter((column) => column.generated).map(({ name }) => name));
  const sources = from.columns.filter(({ name }) => !generated.has(name));
  const targets = to.columns.filter((column) => !column.generated);
  const pairings = pairUp(sources, targets, [({ name }) => name, ({ name }) => folded(name)]);
  const byTarget = new Map(pairings.map((pairing) => [pairing.target, pairing]));
  const copied = new Set(pairings.map(({ source }) => source));
  const notCopied = sources.filter((column) => !copied.has(column));
  const choices = to.columns.map((column) => {
    const pairing = byTarget.get(column);
    return pairing ? mapped(ends, pairing) : unmatched(ends, column, notCopied);
  });
  return { choices, notCopied };
}
