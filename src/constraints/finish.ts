import { qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import type { ResolvedPlan } from '../plan/resolved-plan.ts';
import { type ColumnSequence, finishSequences, readSequences } from './finish-sequences.ts';
import { readLoadedRelations } from './loaded-relations.ts';
import { namingHolders } from './lock-holders.ts';
import type { CapturedObject } from './types.ts';

/**
 * What is left to do once the rows are in and proven: sequences set past what source and target have used,
 * statistics, and the materialized views that read the loaded tables. Only reads; call it when the copy is
 * complete, outside of a transaction of either session. Throws LOCK_NOT_AVAILABLE, which says who holds what.
 */
export async function finishObjects(
  source: Session,
  target: Session,
  plan: ResolvedPlan,
): Promise<CapturedObject[]> {
  const tables = plan.targets.map(({ schema, name }) => ({ schema, name, nonEmpty: true }));
  return inTransaction(target, 'read committed, read only', async () => {
    const loaded = await namingHolders(target, tables, 'read', () => readLoadedRelations(target, tables));
    return [
      ...(await finishSequences(source, target, plan, loaded)),
      ...tables.map(analyze),
      ...(await refreshViews(
        target,
        loaded.map((relation) => relation.oid),
      )),
    ];
  });
}

/** What of the finishing steps can be told before the copy. */
export interface ForeseenFinish {
  /** Set past the highest value that source and target hold when the copy is complete. */
  sequences: Pick<ColumnSequence, 'sequence' | 'table' | 'column'>[];
  /** Statistics and materialized views. */
  objects: CapturedObject[];
}

/** The same steps before a run, as far as the catalog tells them. Only reads, in the caller's transaction on the target. */
export async function foreseeFinish(target: Session, plan: ResolvedPlan): Promise<ForeseenFinish> {
  const tables = plan.targets.map(({ schema, name }) => ({ schema, name, nonEmpty: true }));
  const loaded = await readLoadedRelations(target, tables);
  const oids = loaded.map((relation) => relation.oid);
  return {
    sequences: await readSequences(target, loaded),
    objects: [...tables.map(analyze), ...(await refreshViews(target, oids))],
  };
}

function analyze({ schema, name }: RelationName): CapturedObject {
  const relation = { schema, name };
  return {
    kind: 'statistics',
    relation,
    name,
    phase: 'finish',
    order: 1,
    takeDown: [],
    bringBack: [`analyze ${qualified(relation)}`],
  };
}

/**
 * Materialized views that read the given tables, also through other views, in the order of their
 * dependence. One that was never populated stays so, and what reads it could not be refreshed.
 */
const viewsQuery = `
  with recursive edge as (
    select distinct d.refobjid as base, r.ev_class as view from pg_catalog.pg_rewrite r
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid
      and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    join pg_catalog.pg_class c on c.oid = r.ev_class and c.relkind in ('v', 'm')
    where r.ev_type = '1' and d.refobjid <> r.ev_class
  ), base (oid) as (
    select unnest($1::pg_catalog.oid[])
    union select i.inhparent from base b join pg_catalog.pg_inherits i on i.inhrelid = b.oid
  ), reading (oid, depth) as (
    select oid, 0 from base union select e.view, r.depth + 1 from reading r join edge e on e.base = r.oid
  ), unreadable (oid) as (
    select c.oid from pg_catalog.pg_class c where c.relkind = 'm' and not c.relispopulated
    union select e.view from unreadable u join edge e on e.base = u.oid
  )
  select n.nspname as schema, c.relname as name, pg_catalog.max(r.depth)::int4 as depth
  from reading r join pg_catalog.pg_class c on c.oid = r.oid and c.relkind = 'm'
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.oid not in (select oid from unreadable)
  group by 1, 2 order by 3, 1, 2`;

async function refreshViews(target: Session, tables: number[]): Promise<CapturedObject[]> {
  const { rows } = await target.query<RelationName & { depth: number }>(viewsQuery, [tables]);
  return rows.map(({ schema, name, depth }) => ({
    kind: 'materialized view',
    relation: { schema, name },
    name,
    phase: 'finish',
    order: 1 + depth,
    takeDown: [],
    bringBack: [`refresh materialized view ${qualified({ schema, name })}`],
  }));
}
