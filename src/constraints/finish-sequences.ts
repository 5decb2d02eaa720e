import { ident, literal, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import type { ResolvedPlan } from '../plan/resolved-plan.ts';
import type { LoadedRelation } from './loaded-relations.ts';
import { namingHolders } from './lock-holders.ts';
import type { CapturedObject } from './types.ts';

/** A sequence that gives a column its values: its own (serial, identity) or one that its default calls. */
export interface ColumnSequence {
  sequence: RelationName;
  table: RelationName;
  column: string;
  /** Whether the column's values can be compared with the sequence's. */
  numeric: boolean;
  ascending: boolean;
  minimum: string;
  maximum: string;
}

/** Where a sequence stands: its next value is `value` itself, or the one after where it was called. */
interface Position {
  value: bigint;
  called: boolean;
}

const query = `
  with tables as (select pg_catalog.to_regclass(name)::pg_catalog.oid as oid from unnest($1::text[]) as name),
  used (sequence, relation, number) as (
    select d.objid, d.refobjid, d.refobjsubid from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0
      and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid in (select oid from tables)
    union
    select d.refobjid, a.adrelid, a.adnum from pg_catalog.pg_attrdef a
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and d.objid = a.oid
      and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    where a.adrelid in (select oid from tables)
  )
  select pg_catalog.jsonb_build_object('schema', sn.nspname, 'name', sc.relname) as sequence,
    pg_catalog.jsonb_build_object('schema', n.nspname, 'name', c.relname) as table,
    a.attname as column, t.typcategory = 'N' as numeric, s.seqincrement > 0 as ascending,
    s.seqmin::text as minimum, s.seqmax::text as maximum
  from used u join pg_catalog.pg_sequence s on s.seqrelid = u.sequence
  join pg_catalog.pg_class sc on sc.oid = u.sequence join pg_catalog.pg_namespace sn on sn.oid = sc.relnamespace
  join pg_catalog.pg_class c on c.oid = u.relation join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = u.relation and a.attnum = u.number and not a.attisdropped
  join pg_catalog.pg_type t on t.oid = a.atttypid
  order by 1, 2, 3`;

/** The sequences behind columns of the given tables. */
export async function readSequences(session: Session, tables: RelationName[]): Promise<ColumnSequence[]> {
  const { rows } = await session.query<ColumnSequence>(query, [tables.map(qualified)]);
  return rows;
}

function readPosition(session: Session, sequence: RelationName): Promise<Position> {
  return namingHolders(session, [sequence], 'read', async () => {
    const { rows } = await session.query<{ value: string; called: boolean }>(
      `select last_value::text as value, is_called as called from ${qualified(sequence)}`,
    );
    return { value: BigInt(rows[0]!.value), called: rows[0]!.called };
  });
}

/** The value furthest in the sequence's direction that the column holds; the server finds it in an index. */
async function readFurthest(
  session: Session,
  { table, column, ascending }: ColumnSequence,
): Promise<Position[]> {
  const { rows } = await namingHolders(session, [table], 'read', () =>
    session.query<{ value: string | null }>(
      `select pg_catalog.${ascending ? 'max' : 'min'}(${ident(column)})::text as value from ${qualified(table)}`,
    ),
  );
  const whole = /^-?\d+(?=$|\.)/.exec(rows[0]?.value ?? ''); // Nothing for no rows, NaN and the like.
  return whole === null ? [] : [{ value: BigInt(whole[0]), called: true }];
}

/** Positions of the source's sequences behind the columns that the plan copies as they are, by target column. */
async function readSourcePositions(source: Session, plan: ResolvedPlan): Promise<Map<string, Position[]>> {
  const positions = new Map<string, Position[]>();
  await inTransaction(source, 'repeatable read, read only', async () => {
    for (const { driving, target, columns } of plan.flows) {
      const sequences = await readSequences(source, [driving]);
      for (const { sequence, column } of sequences) {
        const copies = columns.filter((copied) => copied.sourceColumn === column);
        if (copies.length === 0 || !(await mayRead(source, sequence))) continue;
        const position = await readPosition(source, sequence);
        for (const { name } of copies) {
          const key = columnKey(target, name);
          positions.set(key, [...(positions.get(key) ?? []), position]);
        }
      }
    }
  });
  return positions;
}

/** A role that may read the table need not be able to read its sequence; the rows then say enough. */
async function mayRead(source: Session, sequence: RelationName): Promise<boolean> {
  const { rows } = await source.query<{ may: boolean }>(
    `select pg_catalog.has_sequence_privilege($1, 'SELECT') as may`,
    [qualified(sequence)],
  );
  return rows[0]?.may ?? false;
}

const columnKey = (table: RelationName, column: string): string => `${qualified(table)}.${ident(column)}`;

/** Whether `a` lies further on than `b`. */
function isFurther(a: Position, b: Position, ascending: boolean): boolean {
  if (a.value === b.value) return a.called && !b.called;
  return ascending ? a.value > b.value : a.value < b.value;
}

/** The furthest of the positions, as far as the sequence can go; its own where no other lies further. */
function furthest(
  own: Position,
  others: Position[],
  { ascending, minimum, maximum }: ColumnSequence,
): Position {
  const end = BigInt(ascending ? maximum : minimum);
  return others.reduce((best, position) => {
    const beyond = ascending ? position.value > end : position.value < end;
    const reachable = beyond ? { value: end, called: true } : position;
    return isFurther(reachable, best, ascending) ? reachable : best;
  }, own);
}

/** Never backwards, whatever was drawn from the sequence in the meantime. */
function setStatement({ sequence, ascending }: ColumnSequence, { value, called }: Position): string {
  const behind = ascending ? '<' : '>';
  return `select pg_catalog.setval(${literal(qualified(sequence))}::pg_catalog.regclass, ${value}, ${called})
    from ${qualified(sequence)}
    where last_value ${behind} ${value} or (last_value = ${value} and not is_called and ${called})`;
}

/**
 * Sets the sequences behind the loaded tables' columns past what the source has drawn and the target holds.
 * A sequence that is far enough already makes no object. Throws LOCK_NOT_AVAILABLE.
 */
export async function finishSequences(
  source: Session,
  target: Session,
  plan: ResolvedPlan,
  loaded: LoadedRelation[],
): Promise<CapturedObject[]> {
  const bySequence = new Map<string, ColumnSequence[]>();
  for (const use of await readSequences(target, loaded)) {
    const name = qualified(use.sequence);
    bySequence.set(name, [...(bySequence.get(name) ?? []), use]);
  }
  const fromSource = await readSourcePositions(source, plan);
  const loadedTables = new Map(loaded.map((relation) => [qualified(relation), relation.loadedTable]));
  const objects: CapturedObject[] = [];
  for (const uses of bySequence.values()) {
    const [first] = uses as [ColumnSequence];
    const others: Position[] = [];
    for (const use of uses) {
      const root = loadedTables.get(qualified(use.table)) ?? use.table;
      others.push(...(fromSource.get(columnKey(root, use.column)) ?? []));
      if (use.numeric) others.push(...(await readFurthest(target, use)));
    }
    const own = await readPosition(target, first.sequence);
    const goal = furthest(own, others, first);
    if (goal === own) continue;
    objects.push({
      kind: 'sequence',
      relation: first.table,
      name: first.sequence.name,
      phase: 'finish',
      order: 0,
      takeDown: [],
      bringBack: [setStatement(first, goal)],
    });
  }
  return objects;
}
