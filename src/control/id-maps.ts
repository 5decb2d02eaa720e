import { RowfleetError, usageError } from '../errors.ts';
import { findNewIds, type IdMapSummary, readIdMaps } from '../ledger/id-maps.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { nearest } from '../nearest.ts';
import { safeMessage, sqlState } from '../pg/errors.ts';

/** The id maps that the ledger of a target keeps, by name. */
export const listIdMaps = (ledger: Ledger): Promise<IdMapSummary[]> => readIdMaps(ledger.pool);

/**
 * Looks old keys up in an id map, each as its parts in text; null for one that is not there. Throws ID_MAP_UNKNOWN, and
 * ID_MAP_KEY where a key is not one of the map's.
 */
export async function lookUp(ledger: Ledger, name: string, keys: string[][]): Promise<(string | null)[]> {
  const maps = await readIdMaps(ledger.pool);
  const map = maps.find((each) => each.name === name);
  if (map === undefined) {
    const near = nearest(
      name,
      maps.map((each) => each.name),
    );
    const hint = near === undefined ? '`rowfleet ids` lists those that are there' : `did you mean ${near}?`;
    throw usageError('ID_MAP_UNKNOWN', `the target has no id map ${name}`, hint);
  }
  const wrong = keys.find((key) => key.length !== map.oldTypes.length);
  const shape = `its keys are ${map.oldTypes.join(', ')}`;
  if (wrong !== undefined)
    throw usageError(
      'ID_MAP_KEY',
      `a key of id map ${name} has ${map.oldTypes.length} parts, not ${wrong.length}`,
      shape,
    );
  try {
    return await findNewIds(ledger.pool, map, keys);
  } catch (error) {
    if (!sqlState(error)?.startsWith('22')) throw error;
    throw new RowfleetError('ID_MAP_KEY', `id map ${name}: ${safeMessage(error)}`, {
      kind: 'usage',
      hint: shape,
    });
  }
}
