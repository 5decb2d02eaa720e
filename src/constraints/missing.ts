import { qualified } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { CapturedObject } from './types.ts';

/**
 * Whether a constraint that was taken down is missing still: nobody brought it back by hand, and its table is there.
 * Constraints alone are looked for: of all that a run takes down, only a foreign key may stay down when it ends.
 */
export async function isMissing(target: Session, { relation, name }: CapturedObject): Promise<boolean> {
  const { rows } = await target.query<{ missing: boolean }>(
    `select pg_catalog.to_regclass($1) is not null and not exists (
       select from pg_catalog.pg_constraint o
        where o.conrelid = pg_catalog.to_regclass($1) and o.conname = $2) as missing`,
    [qualified(relation), name],
  );
  return rows[0]!.missing;
}
