import type { RelationName } from '../pg/quote.ts';
import type { ResolvedTransform } from '../transform/types.ts';
import type { CopyFormat } from '../wire/relay-types.ts';
import type { ConflictRule, EndpointSpec, GroupingSpec, JoinRows, Settings } from './plan.ts';

/** How the validator hashes a column: the server's own hash, numeric through its wire form, or its text. */
export type DigestMethod = 'native' | 'numeric' | 'text';

export interface ResolvedColumn {
  /** Target column name. */
  name: string;
  /** The expression as the plan has it (for `tables:` the quoted source column). */
  expression: string;
  /** The expression as it stands in the COPY's select list, with the cast it needs. */
  copyExpression: string;
  /** `format_type` of the expression on the source. */
  sourceType: string;
  /** `format_type` of the target column, with typmod. */
  targetType: string;
  /**
   * The expression as it stands in a digest or in a comparison: cast to the target's type and typmod where
   * the source knows that type, else its text.
   */
  compareExpression: string;
  digest: DigestMethod;
  notNull: boolean;
  /** The bare source column, where the expression is nothing but that; tells which sequence goes with it. */
  sourceColumn?: string;
  /** Its value is looked up in the target; the expressions above are then empty. */
  lookup?: ResolvedLookup;
}

/** Where a column's value is looked up while rows are loaded. */
export interface ResolvedLookup {
  /** A table of the target, or an id map of the ledger. */
  relation: RelationName;
  /** The name of the id map. Absent for a table. */
  idMap?: string;
  /** Columns of the relation, each with the source's expression that it must equal. NULL in one of them looks for nothing and gives NULL. */
  by: ResolvedColumn[];
  /** The column whose value is taken. */
  take: string;
  missing: 'error' | 'null';
}

/** What rows with one key become one by. */
export interface Fusion {
  rule: ConflictRule;
  /** Target columns. */
  key: string[];
  /** What decides first; then the plan's order of flows, and the rows' own values. */
  order: ResolvedOrder[];
  /** Where the flow stands among those that fill the table. */
  ordinal: number;
}

/** An item of an order: a column that travels with the rows, and is none of the target's. */
export interface ResolvedOrder {
  column: ResolvedColumn;
  descending: boolean;
  nullsFirst: boolean;
}

/** A physical piece of the driving table: the table itself, or a leaf of a partitioned or inherited one. */
export interface Leaf extends RelationName {
  oid: number;
  /** False for views and foreign tables: no usable ctid, so the leaf is one batch. */
  hasCtid: boolean;
}

/** Rows that belong together: no batch cuts a group in two. */
export interface Grouping extends GroupingSpec {
  /**
   * The driving table's column that `by` begins with, where an index leads to it: batches are ranges of it. Absent: one
   * batch is all of the flow.
   */
  rangeColumn?: string;
}

/** Flows that one COPY of the source feeds. */
export interface ReadWith {
  /** What the plan calls all of them. */
  flow: string;
  /** The first of them: it alone has batches. */
  leader: string;
  /** Which driving rows are read for all of them; empty for all. */
  where: string;
  /** Which of these are for this one; empty for all. */
  own: string;
}

export interface ResolvedFlow {
  name: string;
  readWith?: ReadWith;
  driving: RelationName & { oid: number };
  /**
   * Columns of the driving table that identify a row over all leaves: primary key, else a unique not-null key; empty
   * for none, and then only leaf and ctid name a row.
   */
  drivingKey: string[];
  /** Rows of the driving table's inheritance children do not belong to the flow: they are copied as tables of their own. */
  only: boolean;
  /** Quoted alias of the driving table in expressions. */
  alias: string;
  leaves: Leaf[];
  /** Opaque SQL after the driving table; empty for none. */
  join: string;
  /** Absent: `exact`. */
  joinRows?: Exclude<JoinRows, 'exact'>;
  /** Opaque SQL; empty for none. */
  where: string;
  grouping?: Grouping;
  /** It fills an id map of the ledger, whose columns are those of the old key: a key that is there keeps its new id. */
  idMap?: { name: string; new: 'uuid' | 'sequence' };
  /** The driving table is the target: its rows are updated where they stand, found by this key of theirs. */
  backfill?: { key: string[] };
  /** Rows of the target that have one key become one, once all flows that fill it are copied. Absent: none may have one key. */
  fusion?: Fusion;
  target: RelationName;
  /** Makes the target's rows of its input, which is what travels from the source then; the columns' own expressions are empty. */
  transform?: ResolvedTransform;
  columns: ResolvedColumn[];
  /** COPY format: binary only where every column's type allows it. */
  format: CopyFormat;
  /** Source tables and leaves that the flow reads, for the keeper's locks. */
  reads: RelationName[];
}

/** A target table that the plan fills. */
export interface ResolvedTarget extends RelationName {
  oid: number;
  /** Read it with ONLY: an ordinary table, whose inheritance children hold rows of their own. False for a partitioned one. */
  only: boolean;
  /** Target columns that identify a row: primary key, else a unique not-null key; empty for none. */
  key: string[];
}

/** A database as preflight saw it. */
export interface ResolvedDatabase {
  endpoint: EndpointSpec;
  /** The cluster's system identifier and the database's oid: `src/catalog/server.ts`. */
  identity: string;
  /** server_version_num, e.g. 180004. */
  version: number;
  encoding: string;
  /** The effective search_path of the role, pinned for every transaction with plan text in it. */
  searchPath: string[];
}

/** What a run executes: stored in the ledger as JSON, with its hash. */
export interface ResolvedPlan {
  format: 1;
  name: string;
  source: ResolvedDatabase;
  target: ResolvedDatabase;
  settings: Settings;
  flows: ResolvedFlow[];
  targets: ResolvedTarget[];
  allowNonEmpty: boolean;
}
