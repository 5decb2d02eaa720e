import type { Session } from '../../pg/session.ts';
import { inTransaction } from '../../pg/transaction.ts';
import { writeName } from '../sql/names.ts';
import { factsOf, faultsOfFilling, faultsOfReading, faultsOfValues } from './facts.ts';
import { leftOut, unmatchedSections } from './leftovers.ts';
import { aligned, comment, type Entry, scalar } from './lines.ts';
import { matchTables, type TableMatch } from './match-tables.ts';
import { type Survey, type SurveyedTable, surveyDatabase } from './survey.ts';
import { flowLines, flowName, tableName } from './write-flow.ts';

/** A plan's text, and how many places in it preflight refuses until someone has decided. */
export interface GeneratedPlan {
  text: string;
  gaps: number;
}

/** How the plan names its databases, for example `${SOURCE_DATABASE_URL}`; never a URL. */
export interface EndpointReferences {
  source: string;
  target: string;
}

const listEntry = ({ side }: Survey, { relation }: SurveyedTable, notes: string[]): Entry => ({
  text: `  - ${scalar(tableName(side, relation))}`,
  notes,
});

/** `tables:` with what each holds; nothing for none. */
const tablesSection = (entries: Entry[]): string[] =>
  entries.length === 0 ? [] : ['tables:', ...aligned(entries), ''];

function head({ source, target }: { source: Survey; target?: Survey }, references: EndpointReferences) {
  const about = (name: string, { side, tables }: Survey) => {
    const { version, encoding, database } = side.facts;
    const server = `PostgreSQL ${Math.floor(version / 10_000)}.${version % 10_000}, ${encoding}`;
    return comment(`${name}: the database ${database} (${server}) with ${tables.length} tables.`);
  };
  return [
    '# yaml-language-server: $schema=./node_modules/rowfleet/dist/src/plan/plan.schema.json',
    ...comment('A rowfleet plan, written by generate-config. Numbers of rows are estimates.'),
    ...about('Source', source),
    ...(target ? about('Target', target) : []),
    ...comment('Check it with:  rowfleet migrate -c plan.yaml --dry-run'),
    '',
    `name: ${scalar(source.side.facts.database)}`,
    `source: ${references.source}`,
    `target: ${references.target}`,
  ];
}

function copyPlan(source: Survey, references: EndpointReferences): GeneratedPlan {
  const entries = source.tables.map((table) => {
    const notes = [
      ...factsOf(source, table),
      ...faultsOfReading(source, table),
      ...faultsOfValues(source, table),
    ];
    return listEntry(source, table, notes);
  });
  const lines = [
    ...head({ source }, references),
    ...comment('schema: [target.sql]   DDL for the target, applied where it lacks a table of the plan'),
    '',
    ...comment('Every table in its own shape: the target has, or gets, the same ones.'),
    ...tablesSection(entries),
    ...leftOut(source),
  ];
  return finish(lines, 0);
}

function copiedAsItIs(source: Survey, target: Survey, { from, to, columns }: TableMatch): Entry {
  const generated = new Set(from.columns.filter((column) => column.generated).map(({ name }) => name));
  const converted = columns.choices
    .filter(({ kind, column }) => kind !== 'generated' || !generated.has(column.name))
    .flatMap(({ column, notes }) => notes.map((note) => `${column.name}: ${note}`));
  const faults = [...faultsOfReading(source, from), ...faultsOfFilling(target, to)];
  return listEntry(source, from, [...factsOf(source, from), ...converted, ...faults]);
}

function mappingPlan(source: Survey, target: Survey, references: EndpointReferences): GeneratedPlan {
  const found = matchTables(source, target);
  const same = found.matches.filter(({ as }) => as === 'table');
  const reshaped = found.matches.filter(({ as }) => as === 'flow');
  const taken = new Set<string>();
  for (const { from } of same)
    flowName(taken, writeName(from.relation, source.side.searchPath), from.relation);
  const flows = reshaped.map((each) => {
    const name = flowName(taken, writeName(each.to.relation, target.side.searchPath), each.to.relation);
    return ['', ...flowLines(source, target, each, name)];
  });
  const gaps = reshaped.flatMap(({ columns }) => columns.choices.filter(({ kind }) => kind === 'gap')).length;
  const lines = [
    ...head({ source, target }, references),
    '',
    ...(gaps === 0
      ? []
      : [...comment(`To decide: ${gaps} places under "decide:". Until then the plan is refused.`), '']),
    ...(found.matches.length === 0 ? ['tables: []', ''] : []),
    ...tablesSection(same.map((each) => copiedAsItIs(source, target, each))),
    ...(flows.length === 0 ? [] : ['flows:', ...flows.flat().slice(1), '']),
    ...unmatchedSections(source, target, found),
    ...leftOut(source),
  ];
  return finish(lines, gaps);
}

const finish = (lines: string[], gaps: number): GeneratedPlan => ({
  text: `${lines.map((line) => line.trimEnd()).join('\n')}`.replace(/\n*$/, '\n'),
  gaps,
});

/**
 * Writes a plan for the databases that are there; both are only looked at, in read-only transactions. Without a target
 * every table keeps its own shape. With one, tables go where names and types match, and what only people can say is
 * marked as a gap. The sessions are idle. Throws a usage error for a database without tables.
 */
export async function generatePlan(
  source: Session,
  target: Session | undefined,
  references: EndpointReferences,
): Promise<GeneratedPlan> {
  return inTransaction(source, 'repeatable read, read only', async () => {
    const surveyed = await surveyDatabase(source, 'source');
    if (target === undefined) return copyPlan(surveyed, references);
    return inTransaction(target, 'repeatable read, read only', async () =>
      mappingPlan(surveyed, await surveyDatabase(target, 'target'), references),
    );
  });
}
