import { usageError } from '../errors.ts';
import { sqlState } from '../pg/errors.ts';
import type { Session } from '../pg/session.ts';

/** Bounds of a range as text; `to` is exclusive, null is open. */
export interface RangeBounds {
  from: string | null;
  to: string | null;
}

/** Texts are in the order of their bytes, as the reload takes them. */
const comparedAs = (type: string): string =>
  /^(text|character varying)/.test(type) ? 'text collate "C"' : type;

/** Throws RANGE_INVALID where no value of the column can lie in a range: it ends before it begins, or a bound is no value. */
export async function requireRange(
  tx: Session,
  { from, to }: RangeBounds,
  column: { name: string; type: string },
): Promise<void> {
  const invalid = (what: string) =>
    usageError(
      'RANGE_INVALID',
      `the range ${from ?? ''}..${to ?? ''} ${what}`,
      'write it as 1000..2000 (the end is not part of it), 1000.. or ..2000',
    );
  const type = comparedAs(column.type);
  const found = tx.query<{ empty: boolean | null }>(`select $1::${type} >= $2::${type} as empty`, [from, to]);
  const { rows } = await found.catch((error) => {
    if (!sqlState(error)?.startsWith('22')) throw error;
    throw invalid(`is none of ${column.name}, which is ${column.type}`);
  });
  if (rows[0]!.empty === true)
    throw invalid(`of ${column.name} holds nothing: it ends where it begins, or before`);
}
