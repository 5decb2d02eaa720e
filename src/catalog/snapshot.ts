import type { Session } from '../pg/session.ts';
import { inTransaction } from '../pg/transaction.ts';
import { snapshotQueries } from './snapshot-queries.ts';

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/**
 * What a database's catalogs say of its tables and all that hangs on them: `index public.a_idx` → property →
 * value. Plain JSON, sorted, without OIDs; names carry their schema.
 */
export type CatalogSnapshot = Record<string, Record<string, Json>>;

/**
 * Describes every relation, column, constraint, index, trigger, rule, policy, statistics object, sequence
 * and publication membership of the given schemas; defaults to all but the server's and rowfleet's own.
 * Needs a session with an empty search_path, outside of a transaction.
 */
export async function catalogSnapshot(session: Session, schemas?: string[]): Promise<CatalogSnapshot> {
  const entries: [string, Record<string, Json>][] = [];
  await inTransaction(session, 'repeatable read, read only', async () => {
    for (const query of snapshotQueries) {
      const { rows } = await session.query<{ key: string; value: Record<string, Json> }>(query, [
        schemas ?? null,
      ]);
      for (const { key, value } of rows) entries.push([key, value]);
    }
  });
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What differs from `before` to `after`, a line each: gone, new, or the property with both values. */
export function diffSnapshots(before: CatalogSnapshot, after: CatalogSnapshot): string[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return keys.flatMap((key) => {
    const was = before[key];
    const is = after[key];
    if (was === undefined) return [`new: ${key}`];
    if (is === undefined) return [`gone: ${key}`];
    return Object.keys({ ...was, ...is }).flatMap((property) => {
      const [old, now] = [JSON.stringify(was[property] ?? null), JSON.stringify(is[property] ?? null)];
      return old === now ? [] : [`${key}: ${property}: ${old} → ${now}`];
    });
  });
}
