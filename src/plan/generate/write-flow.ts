import type { RelationName } from '../../pg/quote.ts';
import { display, literal, qualified } from '../../pg/quote.ts';
import type { Side } from '../resolve/context.ts';
import { findRelation, findTable, parseDriving, writeIdentifier, writeName } from '../sql/names.ts';
import { factsOf, faultsOfFilling, faultsOfReading, keyOf } from './facts.ts';
import { aligned, comment, type Entry, gapEntry, scalar } from './lines.ts';
import type { ColumnChoice } from './match-columns.ts';
import type { TableMatch } from './match-tables.ts';
import type { Survey } from './survey.ts';

type Relation = RelationName & { oid: number };

/** A table as `tables:` and `to:` name it: the shortest name that leads to it and to no other. */
export function tableName({ relations, searchPath }: Side, relation: Relation): string {
  const known = relations.byOid(relation.oid)!;
  const names = [writeName(known, searchPath), writeName(known, []), display(known), known.name];
  return names.find((name) => findTable(relations, searchPath, name).relation === known) ?? names[1]!;
}

/** The same as `from:` names it. */
function drivingName({ relations, searchPath }: Side, relation: Relation): string {
  const known = relations.byOid(relation.oid)!;
  const leads = (name: string) =>
    findRelation(relations, searchPath, parseDriving(name)!.written).relation === known;
  return [writeName(known, searchPath)].find(leads) ?? writeName(known, []);
}

function columnEntry(choice: ColumnChoice): Entry {
  const { column, notes } = choice;
  if (choice.kind === 'gap') return gapEntry(column.name, choice.decide, 6);
  const name = scalar(column.name);
  if (choice.kind === 'generated') return { text: `      # ${name}`, notes };
  const line = `${name}: ${scalar(choice.expression ?? '…')}`;
  return { text: `      ${choice.kind === 'left out' ? '# ' : ''}${line}`, notes };
}

/** Flow names, each once in the plan; those of `tables:` are taken already. */
export function flowName(taken: Set<string>, table: string, relation: RelationName): string {
  const bare = (name: string) => name.replace(/\p{Cc}/gu, ' ').replaceAll('"', '');
  const numbered = Array.from({ length: taken.size + 1 }, (_, i) => `${bare(table)} ${i + 2}`);
  const name = [bare(table), bare(display(relation)), ...numbered].find(
    (each) => each !== '' && !taken.has(each),
  )!;
  taken.add(name);
  return name;
}

/** A flow with every column of its target: mapped, to be decided, or as a comment. */
export function flowLines(source: Survey, target: Survey, each: TableMatch, name: string): string[] {
  const { from, to, alias, columns, proposed, childrenApart } = each;
  const children = from.relation.kind === 'r' ? source.side.relations.children(from.relation) : [];
  const about = [
    ...(proposed ? ['proposed: the names are alike'] : []),
    ...factsOf(source, from),
    ...(children.length === 0
      ? []
      : [`${childrenApart ? 'without' : 'with'} the rows of the tables that inherit from it`]),
    ...faultsOfReading(source, from),
  ];
  const notCopied = columns.notCopied.map(
    (column) => `${alias}.${writeIdentifier(column.name)} (${column.type})`,
  );
  const only = `${alias}.tableoid = ${literal(qualified(from.relation))}::regclass`;
  return [
    ...comment(`${display(from.relation)}: ${about.join('; ')}`, 2),
    ...comment(`into ${display(to.relation)}: ${[keyOf(to), ...faultsOfFilling(target, to)].join('; ')}`, 2),
    ...(notCopied.length === 0 ? [] : comment(`not copied: ${notCopied.join(', ')}`, 2)),
    `  - name: ${scalar(name)}`,
    `    from: ${scalar(`${drivingName(source.side, from.relation)} ${alias}`)}`,
    ...(childrenApart ? [`    where: ${scalar(only)}`] : []),
    `    to: ${scalar(tableName(target.side, to.relation))}`,
    '    columns:',
    ...aligned(columns.choices.map(columnEntry)),
  ];
}
