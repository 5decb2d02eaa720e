import type { Session } from '../pg/session.ts';
import { captureForeignKeys } from './capture-foreign-keys.ts';
import { captureIndexes } from './capture-indexes.ts';
import { captureTriggers } from './capture-triggers.ts';
import { readLoadedRelations, type TableToLoad } from './loaded-relations.ts';
import type { CapturedObject, KeptObject } from './types.ts';

/** What stands between rows and the tables to be loaded. */
export interface Capture {
  /** In the order they are to be taken down: triggers, foreign keys, then what they need. */
  objects: CapturedObject[];
  /** Indexes, foreign keys and triggers that must stay up, with the reason. */
  kept: KeptObject[];
}

/**
 * Describes the foreign keys on and to the given tables, their indexes and user triggers, partitions
 * included, as far as they can be taken down and come back exactly. Only reads. Needs a session of the role
 * that will take them down, with an empty search_path.
 */
export async function capture(target: Session, tables: TableToLoad[]): Promise<Capture> {
  const loaded = await readLoadedRelations(target, tables);
  const triggers = await captureTriggers(target, loaded);
  const foreignKeys = await captureForeignKeys(target, loaded);
  const indexes = await captureIndexes(target, loaded, foreignKeys);
  return {
    objects: [...triggers.objects, ...foreignKeys.objects, ...indexes.objects],
    kept: [...triggers.kept, ...foreignKeys.kept, ...indexes.kept],
  };
}

/** The objects of `capture` alone. */
export async function captureObjects(target: Session, tables: TableToLoad[]): Promise<CapturedObject[]> {
  return (await capture(target, tables)).objects;
}
