import { type Column, readColumns, readKeys } from '../../catalog/columns.ts';
import { type Reference, readReferences } from '../../catalog/references.ts';
import { isTableOfItsOwn, type Relation } from '../../catalog/relations.ts';
import { readServer } from '../../catalog/server.ts';
import { readSizes, type Size } from '../../catalog/sizes.ts';
import { usageError } from '../../errors.ts';
import type { Session } from '../../pg/session.ts';
import type { PlanProblem } from '../problems.ts';
import { Problems } from '../problems.ts';
import type { ResolveContext, Side } from '../resolve/context.ts';
import { readSide } from '../resolve/databases.ts';

/** A table of a database with what a plan for it goes by. */
export interface SurveyedTable {
  relation: Relation;
  columns: Column[];
  /** Columns that identify a row; empty for none. */
  key: string[];
  references: Reference[];
  /** With its partitions; children by inheritance are tables of their own. */
  size: Size;
  partitions: Relation[];
}

/** A database as a plan is generated from it. */
export interface Survey {
  side: Side;
  /** By schema and name. */
  tables: SurveyedTable[];
  /** Views, foreign tables and tables of extensions. */
  others: Relation[];
}

function sum(sizes: Size[]): Size {
  const rows = sizes.reduce((all: number | undefined, size) => {
    return all === undefined || size.rows === undefined ? undefined : all + size.rows;
  }, 0);
  return {
    ...(rows === undefined ? {} : { rows }),
    bytes: sizes.reduce((all, { bytes }) => all + bytes, 0),
  };
}

/**
 * Looks a database over; nothing is written, no row is read. The session stands in a read-only transaction. Throws a
 * usage error for a server that rowfleet does not do, and for a database without tables.
 */
export async function surveyDatabase(session: Session, name: 'source' | 'target'): Promise<Survey> {
  const facts = await readServer(session);
  if (facts.version < 140_000) {
    const version = Math.floor(facts.version / 10_000);
    throw usageError(
      'SERVER_VERSION',
      `the ${name} is PostgreSQL ${version}; rowfleet needs 14 or later`,
      'Upgrade that server first.',
    );
  }
  const side = await readSide(session, facts);
  const chosen = side.relations.all.filter(isTableOfItsOwn);
  if (chosen.length === 0)
    throw usageError(
      'NO_TABLES',
      `the ${name} database ${facts.database} holds no tables`,
      name === 'source'
        ? 'Check which database it names.'
        : 'Create them first, or leave --to out: then the plan copies every table in its own shape.',
    );
  const membersOf = (relation: Relation) =>
    relation.kind === 'p' ? side.relations.tree(relation) : [relation];
  const oids = chosen.map(({ oid }) => oid);
  const columns = await readColumns(session, oids);
  const keys = await readKeys(session, oids);
  const references = await readReferences(session, oids);
  const sizes = await readSizes(session, chosen.flatMap(membersOf));
  return {
    side,
    tables: chosen.map((relation) => ({
      relation,
      columns: columns.get(relation.oid) ?? [],
      key: keys.get(relation.oid) ?? [],
      references: references.get(relation.oid) ?? [],
      size: sum(membersOf(relation).map(({ oid }) => sizes.get(oid)!)),
      partitions: membersOf(relation).filter(({ kind, oid }) => kind !== 'p' && oid !== relation.oid),
    })),
    others: side.relations.all.filter(
      ({ kind, isPartition, ofExtension }) =>
        !isPartition && (ofExtension ? kind === 'r' || kind === 'p' : 'vmf'.includes(kind)),
    ),
  };
}

/** What preflight would say, asked while there is no plan yet. */
export function preflightSays<T>(
  source: Side,
  target: Side,
  ask: (ctx: ResolveContext) => T,
): { answer: T; problems: PlanProblem[] } {
  const problems = new Problems({ file: '', lines: {} });
  const answer = ask({
    source,
    target,
    problems,
    idMaps: new Map(),
    filledBy: new Map(),
    count: {},
    planFile: '',
  });
  return { answer, problems: problems.all };
}
