import { namingHolders } from '../constraints/lock-holders.ts';
import { qualified } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import type { ResolvedTarget } from '../plan/resolved-plan.ts';

type Table = Pick<ResolvedTarget, 'schema' | 'name' | 'only'>;

/** A target table as SQL names it where only its own rows are meant: those of tables that inherit from it are other people's. */
export const itself = (target: Table): string => `${target.only ? 'only ' : ''}${qualified(target)}`;

/** Whether a target table holds a row. Throws LOCK_NOT_AVAILABLE. */
export function holdsRow(session: Session, target: Table): Promise<boolean> {
  return namingHolders(session, [target], 'read', async () => {
    const { rowCount } = await session.query(`select 1 from ${itself(target)} limit 1`);
    return rowCount === 1;
  });
}

/** Rows that a target table holds; an empty one, the usual case before a run, costs one look. Throws LOCK_NOT_AVAILABLE. */
export async function countRows(session: Session, target: Table): Promise<number> {
  if (!(await holdsRow(session, target))) return 0;
  const { rows } = await session.query(`select count(*)::float8 as n from ${itself(target)}`);
  return rows[0].n;
}
