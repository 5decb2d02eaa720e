import { folded, type Pairing, pairUp } from './alike.ts';
import { type ColumnMatch, matchColumns } from './match-columns.ts';
import type { Survey, SurveyedTable } from './survey.ts';

/** A source table and the target table that its rows go into. */
export interface TableMatch {
  from: SurveyedTable;
  to: SurveyedTable;
  /** Under `tables:`, where name and shape are the same; else as a flow. */
  as: 'table' | 'flow';
  /** Found by a name that is only alike. */
  proposed: boolean;
  alias: string;
  columns: ColumnMatch;
  /** Children by inheritance are copied too, on their own: a flow of the parent must leave their rows out. */
  childrenApart: boolean;
}

export interface Matches {
  /** By the target's schema and name. */
  matches: TableMatch[];
  sourceOnly: SurveyedTable[];
  targetOnly: SurveyedTable[];
}

const readings = [
  ({ relation }: SurveyedTable) => JSON.stringify([relation.schema, relation.name]),
  ({ relation }: SurveyedTable) => relation.name,
  ({ relation }: SurveyedTable) =>
    folded(relation.name) && JSON.stringify([relation.schema, folded(relation.name)]),
  ({ relation }: SurveyedTable) => folded(relation.name),
];

/** A letter of the table's name: no word of SQL has only one. */
const aliasOf = ({ relation }: SurveyedTable): string =>
  /[a-z]/.exec(relation.name.toLowerCase())?.[0] ?? 't';

function match(source: Survey, target: Survey, pairing: Pairing<SurveyedTable>): TableMatch | undefined {
  const { source: from, target: to, reading } = pairing;
  const alias = aliasOf(from);
  const columns = matchColumns({ source, target, from, to, alias });
  const fits = columns.choices.every(
    (choice) => choice.kind === 'generated' || (choice.kind === 'mapped' && choice.same),
  );
  const same = reading === 0 && fits && columns.notCopied.length === 0;
  // Nothing but their names in common.
  if (!same && !columns.choices.some(({ kind }) => kind === 'mapped')) return undefined;
  const as = same ? ('table' as const) : ('flow' as const);
  return { from, to, as, proposed: reading > 1, alias, columns, childrenApart: false };
}

/**
 * Parents by inheritance. Under `tables:` all their children must stand there too, or none of their descendants be
 * copied at all; a flow reads the children's rows as well, unless it is told not to.
 */
function settleInheritance({ side }: Survey, matches: TableMatch[]): void {
  const byOid = new Map(matches.map((each) => [each.from.relation.oid, each]));
  let moved = true;
  while (moved) {
    moved = false;
    for (const each of matches) {
      const { relation } = each.from;
      if (relation.kind !== 'r') continue;
      const children = side.relations.children(relation);
      const copied = side.relations.tree(relation).some(({ oid }) => oid !== relation.oid && byOid.has(oid));
      each.childrenApart = copied;
      const apart = children.every(({ oid }) => byOid.get(oid)?.as === 'table');
      if (each.as === 'flow' || !copied || apart) continue;
      each.as = 'flow';
      moved = true;
    }
  }
}

/** Finds out what goes where: by name, then by names that are alike, each pair with its columns. */
export function matchTables(source: Survey, target: Survey): Matches {
  const matches = pairUp(source.tables, target.tables, readings).flatMap(
    (pairing) => match(source, target, pairing) ?? [],
  );
  settleInheritance(source, matches);
  const read = new Set(matches.map(({ from }) => from));
  const filled = new Map(matches.map((each) => [each.to, each]));
  return {
    matches: target.tables.flatMap((table) => filled.get(table) ?? []),
    sourceOnly: source.tables.filter((table) => !read.has(table)),
    targetOnly: target.tables.filter((table) => !filled.has(table)),
  };
}
