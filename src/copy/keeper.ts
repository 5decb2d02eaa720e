import type { Epoch, RelationMark } from '../ledger/epochs.ts';
import { display, qualified, type RelationName } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedPlan } from '../plan/resolved-plan.ts';

/** Every relation that a plan's flows read, once, in a fixed order. */
export function readRelations(plan: ResolvedPlan): RelationName[] {
  const all = new Map<string, RelationName>();
  for (const flow of plan.flows) for (const relation of flow.reads) all.set(display(relation), relation);
  return [...all.keys()].sort().map((key) => all.get(key)!);
}

async function readMarks(source: Session, relations: RelationName[]): Promise<Record<string, RelationMark>> {
  const { rows } = await source.query(
    `select r.schema, r.name, coalesce(pg_relation_filenode(c.oid)::text, '') as filenode,
            (pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
              + pg_stat_get_tuples_deleted(c.oid))::text as writes
       from unnest($1::text[], $2::text[]) as r (schema, name)
       join pg_namespace n on n.nspname = r.schema
       join pg_class c on c.relnamespace = n.oid and c.relname = r.name`,
    [relations.map((r) => r.schema), relations.map((r) => r.name)],
  );
  return Object.fromEntries(
    rows.map((row: { schema: string; name: string; filenode: string; writes: string }) => [
      display(row),
      { filenode: row.filenode, writes: row.writes },
    ]),
  );
}

/** `LOCK TABLE … IN ACCESS SHARE MODE` for what can be locked; empty for nothing. */
export function lockStatement(relations: RelationName[]): string {
  if (relations.length === 0) return '';
  return `lock table ${relations.map((relation) => `only ${qualified(relation)}`).join(', ')} in access share mode`;
}

/**
 * Opens a source snapshot for all loaders, kept for as long as `source` stays in the transaction that this
 * begins. The locks come before the snapshot: a rewrite between the two would show it an empty table
 * (VACUUM FULL moves rows with a transaction id that an older snapshot does not see). The counters of writes are read
 * before both: one that is committed meanwhile counts as a later one, which costs a copy at most.
 */
export async function openEpoch(source: Session, plan: ResolvedPlan, number: number): Promise<Epoch> {
  const relations = readRelations(plan);
  await source.query(`begin isolation level repeatable read, read only; set local lock_timeout = '5s'`);
  const { rows: lockable } = await source.query(
    `select n.nspname as schema, c.relname as name from unnest($1::text[], $2::text[]) as r (schema, name)
       join pg_namespace n on n.nspname = r.schema
       join pg_class c on c.relnamespace = n.oid and c.relname = r.name
      where c.relkind in ('r', 'p') order by 1, 2`,
    [relations.map((r) => r.schema), relations.map((r) => r.name)],
  );
  const before = await readMarks(source, relations);
  await source.query('rollback');
  await source.query(`begin isolation level repeatable read, read only; set local lock_timeout = '5s'`);
  if (lockable.length > 0) await source.query(lockStatement(lockable));
  const { rows } = await source.query(
    `select pg_export_snapshot() as snapshot, pg_current_snapshot()::text as visible`,
  );
  const marks = await readMarks(source, relations);
  for (const [name, mark] of Object.entries(marks)) mark.writes = before[name]?.writes ?? mark.writes;
  return { epoch: number, ...rows[0], relations: marks };
}

/**
 * The flows whose batches, copied under earlier epochs, do not hold under `current`: something they read was
 * rewritten or written to since. Seeing the same transactions proves that nothing was; otherwise the
 * server's own counters tell. Those may lag by seconds: the validator, which reads the source anew, is what
 * finds a write that slipped past them.
 */
export function findStaleFlows(
  plan: ResolvedPlan,
  copied: { flow: string; epoch: number }[],
  epochs: Epoch[],
  current: Epoch,
): string[] {
  const stale = new Set<string>();
  for (const { flow: name, epoch } of copied) {
    const before = epochs.find((candidate) => candidate.epoch === epoch);
    const flow = plan.flows.find((candidate) => candidate.name === name);
    if (before === undefined || flow === undefined || before.visible === current.visible) continue;
    if (flow.backfill !== undefined) continue; // It is computed from rows as they are.
    const changed = flow.reads.some((relation) => {
      const [was, is] = [before.relations[display(relation)], current.relations[display(relation)]];
      return was?.filenode !== is?.filenode || was?.writes !== is?.writes;
    });
    if (changed) stale.add(name);
  }
  return [...stale];
}
