import type { RelationName } from '../pg/quote.ts';

/** When a captured object comes back: `index` right after its table's last batch, `constrain` behind the validator. */
export type RestorePhase = 'index' | 'constrain' | 'finish';

export interface ForeignKey {
  columns: string[];
  references: RelationName;
  referencedColumns: string[];
  match: 'simple' | 'full';
  /** For PostgreSQL 18 temporal keys (`PERIOD`): the validator leaves these to the server. */
  period: boolean;
}

export interface UniqueKey {
  /** Columns or expressions as SQL over the table, in index order. */
  expressions: string[];
  /** The predicate of a partial index as SQL; absent for none. */
  predicate?: string;
  nullsNotDistinct: boolean;
}

/**
 * One thing that stands between rows and the target: what takes it down and what brings it back, exactly as
 * it was. Stored in the ledger before it is taken down, so that someone with only the ledger can restore it.
 * Each list runs in one transaction; an empty `takeDown` is a thing to do later that took nothing down.
 */
export interface CapturedObject {
  kind:
    | 'fusion'
    | 'primary key'
    | 'unique'
    | 'exclusion'
    | 'index'
    | 'foreign key'
    | 'trigger'
    | 'cluster'
    | 'replica identity'
    | 'sequence'
    | 'statistics'
    | 'materialized view';
  relation: RelationName;
  /** The plan's table whose last batch it waits for, where that is not `relation`: a partition's root, say. */
  loadedTable?: RelationName;
  name: string;
  phase: RestorePhase;
  /** Objects of one phase and relation come back in ascending order; equal ones may be built at the same time. */
  order: number;
  takeDown: string[];
  bringBack: string[];
  foreignKey?: ForeignKey;
  uniqueKey?: UniqueKey;
}

/** Something that could have come down but stays up, and why, in words. */
export interface KeptObject {
  kind: CapturedObject['kind'];
  relation: RelationName;
  name: string;
  reason: string;
}
