import type { Column } from '../../catalog/columns.ts';
import type { TypeCatalog } from '../../catalog/data-types.ts';
import type { Relations } from '../../catalog/relations.ts';
import type { ServerFacts } from '../../catalog/server.ts';
import type { Session } from '../../pg/session.ts';
import type { CountOptions } from '../count/counting.ts';
import type { Problems } from '../problems.ts';

/** One database as resolving sees it. */
export interface Side {
  session: Session;
  facts: ServerFacts;
  /** What the database is known by across restarts. */
  identity: string;
  searchPath: string[];
  relations: Relations;
  types: TypeCatalog;
}

/**
 * Display name of a target table → the unfinished run that fills it, with the key that the table had before, and unique keys
 * (columns) that the run has taken down.
 */
export type FilledBy = ReadonlyMap<
  string,
  { id: string; name: string; key: string[]; uniqueKeys: string[][] }
>;

/** An id map as the flows that use it see it. */
export interface KnownIdMap {
  name: string;
  old: Column[];
  new: Column;
}

/** What every step of resolving works with. */
export interface ResolveContext {
  source: Side;
  target: Side;
  problems: Problems;
  /** Of the plan; transforms lie below its folder. */
  planFile: string;
  /** What unfinished runs fill. */
  filledBy: FilledBy;
  count: CountOptions;
  /** The plan's id maps, by name; undefined where something is wrong with one, which has been reported. */
  idMaps: Map<string, KnownIdMap | undefined>;
}
