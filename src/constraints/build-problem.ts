import { duplicateKeys, type OffendingKeys, orphanKeys } from '../catalog/offending-keys.ts';
import { sqlState } from '../pg/errors.ts';
import { display } from '../pg/quote.ts';
import type { Session } from '../pg/session.ts';
import { sqlStates } from '../pg/sql-states.ts';
import type { Finding, FindingDetail } from '../validate/types.ts';
import type { CapturedObject } from './types.ts';

/** SQLSTATEs that blame the rows. */
const rowsToBlame = new Set([
  sqlStates.notNullViolation,
  sqlStates.foreignKeyViolation,
  sqlStates.uniqueViolation,
  sqlStates.checkViolation,
  sqlStates.exclusionViolation,
]);

/** How many offending keys a finding shows. */
const shown = 10;

/**
 * The finding behind a `bringBack` that failed because of the rows, with the first offending keys; undefined
 * where the rows are not to blame. What has no key to list (exclusion) shows the pair that the server named.
 */
export async function buildProblem(
  session: Session,
  object: CapturedObject,
  error: unknown,
): Promise<Finding | undefined> {
  const state = sqlState(error);
  if (state === undefined || !rowsToBlame.has(state)) return undefined;
  const { relation, name, kind } = object;
  const what = `${kind} ${name} on ${display(relation)}`;
  if (object.uniqueKey !== undefined && state === sqlStates.uniqueViolation) {
    const keys = await duplicateKeys(session, relation, object.uniqueKey, shown);
    return finding(
      object,
      `${what} cannot be built: ${keys.count} keys occur more than once`,
      'duplicate',
      keys,
    );
  }
  if (
    object.foreignKey !== undefined &&
    !object.foreignKey.period &&
    state === sqlStates.foreignKeyViolation
  ) {
    const keys = await orphanKeys(session, relation, object.foreignKey, shown);
    const missing = display(object.foreignKey.references);
    return finding(
      object,
      `${what} cannot come back: ${keys.count} keys are not in ${missing}`,
      'orphan',
      keys,
    );
  }
  const detail = detailOf(error);
  return {
    check: 'build',
    relation,
    summary: `${what} cannot come back: rows break it (SQLSTATE ${state})`,
    details: detail === undefined ? [] : [{ key: { [name]: detail }, problem: 'different' }],
  };
}

function finding(
  { relation }: CapturedObject,
  summary: string,
  problem: FindingDetail['problem'],
  keys: OffendingKeys,
): Finding {
  return { check: 'build', relation, summary, details: keys.rows.map((key) => ({ key, problem })) };
}

/** The server's DETAIL, through the errors that wrap it. */
function detailOf(error: unknown): string | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    const { detail } = each as Error & { detail?: unknown };
    if (typeof detail === 'string') return detail;
  }
  return undefined;
}
