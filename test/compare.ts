import { ident, qualified, type RelationName } from '../src/pg/quote.ts';
import type { TestDatabase } from './postgres.ts';

/** Compares `source` on one side with `target` on the other; a plain name stands for both, in public. */
export type TablePair = string | { source: RelationName; target: RelationName };

interface Table extends RelationName {
  columns: string[];
}

const tablesSql = `
  select n.nspname as schema, c.relname as name,
    array(select a.attname::text from pg_catalog.pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attname collate "C") as columns
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^(pg_|information_schema$|rowfleet)'
  order by 1, 2`;

type Session = Awaited<ReturnType<TestDatabase['open']>>;

/** A row as one text, columns in the order of their names, so that both sides may have them in any order. */
const rowText = (table: Table) =>
  `row(${table.columns.map((column) => `t.${ident(column)}`).join(', ')})::text`;

/** 256 groups of rows by the md5 of their text, each with the md5 of all of its sorted md5s. */
async function digestGroups(session: Session, table: Table): Promise<Map<string, string>> {
  const { rows } = await session.query<{ part: string; digest: string }>(
    `select substr(h, 1, 2) as part, count(*) || ' ' || md5(string_agg(h, '' order by h collate "C")) as digest
     from (select md5(${rowText(table)}) as h from ${qualified(table)} t) hashed group by 1`,
  );
  return new Map(rows.map((row) => [row.part, row.digest]));
}

async function rowsOf(session: Session, table: Table, parts: string[]): Promise<Map<string, number>> {
  const { rows } = await session.query<{ text: string; n: number }>(
    `select text, count(*)::int as n from (select ${rowText(table)} as text from ${qualified(table)} t) x
     where substr(md5(text), 1, 2) = any($1) group by 1 order by 1`,
    [parts],
  );
  return new Map(rows.map((row) => [row.text, row.n]));
}

/** What `left` has more often than `right`: EXCEPT ALL. */
function surplus(left: Map<string, number>, right: Map<string, number>): string[] {
  return [...left].flatMap(([text, n]) => {
    const more = n - (right.get(text) ?? 0);
    return more > 0 ? [`${more} × ${text.slice(0, 300)}`] : [];
  });
}

async function compareTable(source: Session, target: Session, left: Table, right: Table): Promise<string[]> {
  const name = `${right.schema}.${right.name}`;
  if (left.columns.join() !== right.columns.join()) {
    return [`${name}: columns ${left.columns} in the source, ${right.columns} in the target`];
  }
  const [before, after] = await Promise.all([digestGroups(source, left), digestGroups(target, right)]);
  const parts = [...new Set([...before.keys(), ...after.keys()])].filter(
    (p) => before.get(p) !== after.get(p),
  );
  if (parts.length === 0) return [];
  const [was, is] = await Promise.all([rowsOf(source, left, parts), rowsOf(target, right, parts)]);
  const lost = surplus(was, is).map((row) => `${name}: only in the source: ${row}`);
  const extra = surplus(is, was).map((row) => `${name}: only in the target: ${row}`);
  const shown = [...lost.slice(0, 5), ...extra.slice(0, 5)];
  return [
    `${name}: ${lost.length} different rows only in the source, ${extra.length} only in the target`,
    ...shown,
  ];
}

const key = (table: RelationName) => `${table.schema}.${table.name}`;

function pair(tables: TablePair[]): { source: RelationName; target: RelationName }[] {
  return tables.map((table) => {
    if (typeof table !== 'string') return table;
    const relation = { schema: 'public', name: table };
    return { source: relation, target: relation };
  });
}

/**
 * Compares the rows of two databases table by table, with plain SQL that shares nothing with rowfleet's validator.
 * `tables` defaults to every table outside rowfleet's own schemas on either side, partitioned ones as a whole.
 * Returns what differs, in words; empty when nothing does.
 */
export async function compareDatabases(
  source: Pick<TestDatabase, 'open'>,
  target: Pick<TestDatabase, 'open'>,
  tables?: TablePair[],
): Promise<string[]> {
  const [from, to] = await Promise.all([source.open(), target.open()]);
  const [left, right] = await Promise.all([from.query<Table>(tablesSql), to.query<Table>(tablesSql)]);
  const sources = new Map(left.rows.map((table) => [key(table), table]));
  const targets = new Map(right.rows.map((table) => [key(table), table]));
  const every = [...new Map([...sources, ...targets]).values()].map((t) => ({ source: t, target: t }));
  const differences: string[] = [];
  for (const names of tables ? pair(tables) : every) {
    const [a, b] = [sources.get(key(names.source)), targets.get(key(names.target))];
    if (a && b) differences.push(...(await compareTable(from, to, a, b)));
    else
      differences.push(
        a ? `${key(names.target)}: not in the target` : `${key(names.source)}: not in the source`,
      );
  }
  return differences;
}
