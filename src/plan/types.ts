import type { RelationName } from '../pg/quote.ts';
import type { ResolvedTransform, TransformSpec } from '../transform/types.ts';

/** Where a thing stands in the plan file. `path` is the way in the document, e.g. `flows[0].columns.id`. */
export interface PlanLocation {
  file: string;
  line: number;
  path: string;
}

export type ValidationLevel = 'basic' | 'standard';

/** Rows in quarantine beyond which a run stops. */
export interface QuarantineLimit {
  /** Driving rows of the whole run. Defaults to 1000. */
  rows: number;
  /** Share of a flow's rows, of at least a thousand. Defaults to 0.01. */
  ratio: number;
}

/** What is looked at while a run goes on: a run is held while one of them is over its limit. */
export type ThrottleMeasure =
  /** Seconds that the slowest standby of the target lags behind. */
  | 'replication_lag'
  /** WAL files of the target that wait to be archived. */
  | 'wal_to_archive'
  /** Target tables of the plan that are under vacuum or analyze. */
  | 'vacuum'
  /** Sessions of others that are active on the source. */
  | 'source_sessions'
  /** Size of the target database, in 10^9 bytes. */
  | 'target_gb'
  /** Attempts that failed lately because the target's disk was full. */
  | 'disk_full';

/** For each measure that is looked at, what it may be and how long a run is held for it. */
export type Throttle = Partial<Record<ThrottleMeasure, { limit: number; atMostMs: number }>>;

/** The `migration:` keys of a plan, with their defaults applied. */
export interface Settings {
  /** Rows of the first batch of each flow; adaptive sizing goes on from there. Defaults to 1000. */
  batchSize: number;
  /** How often a failed batch is tried again. Defaults to 3. */
  maxRetries: number;
  /** Milliseconds (Node's clock) after which an attempt is given up. Defaults to 30_000. */
  batchTimeoutMs: number;
  /** Seconds that a batch should take; at most half of its timeout. Absent: two, or a sixth of the timeout. */
  batchSeconds?: number;
  /** Megabytes (2^20 bytes) that a batch may carry. Absent: 256. */
  maxBatchMb?: number;
  /** Loaders that `migrate` starts when it brings its own fleet. Defaults to 2. */
  parallelWorkers: number;
  /** Defaults to `standard`. */
  validationLevel: ValidationLevel;
  quarantineLimit: QuarantineLimit;
  /** Absent in plans of before it was built: nothing is looked at. */
  throttle?: Throttle;
}

/** What a join may do to driving rows: `exact` is one joined row for each (or none, for a left join). */
export type JoinRows = 'exact' | 'may_lose' | 'may_multiply' | 'any';

/** Rows that belong together, as the plan file has it. */
export interface GroupingSpec {
  /** `group`: an output row for each group. `window`: one for each driving row, whose window functions see whole groups. */
  kind: 'group' | 'window';
  /** SQL expressions over the source. */
  by: string[];
}

/** A flow as the plan file has it; names are checked against the catalogs by `resolvePlan`. */
export interface FlowSpec {
  name: string;
  /** The driving table and its alias, e.g. `chunks c`. */
  from: string;
  /** Anything legal after the driving table in a FROM clause. */
  join?: string;
  /** Defaults to `exact`. */
  joinRows: JoinRows;
  where?: string;
  grouping?: GroupingSpec;
  /** One or more: each fills one target table. */
  outputs: OutputSpec[];
}

/** What a flow puts into one target table. */
export interface OutputSpec {
  /** What the flow of this output is called. */
  name: string;
  /** Where it stands in the flow: none where that has one output only. */
  path: (string | number)[];
  to: string;
  /** Which of the flow's rows, besides its own condition. */
  where?: string;
  /** Target column → SQL expression over the source, or where its value is looked up. */
  columns: Record<string, string | LookupSpec>;
  /** Absent: rows that conflict are refused. */
  conflict?: ConflictSpec;
  /** Makes the target's rows; `columns` are its input then. */
  transform?: TransformSpec;
}

/** A column whose value is looked up in the target while rows are loaded. */
export type LookupSpec =
  | { idMap: string; key: string[] }
  /** `by`: column of the table → SQL expression over the source. */
  | { table: string; by: Record<string, string>; take: string; missing: 'error' | 'null' };

/** Which of several rows with one key the target gets. */
export type ConflictRule = 'skip' | 'update' | 'merge';

export interface ConflictSpec {
  rule: ConflictRule;
  /** Target columns. Absent: the table's key. */
  key?: string[];
  /** As in ORDER BY. */
  order: string[];
}

/** A map from old keys to new ones, as the plan file has it. */
export interface IdMapSpec {
  name: string;
  from: string;
  where?: string;
  key: string[];
  new: 'uuid' | 'sequence';
}

/** A plan that is well-formed, not yet held against any database. */
export interface Plan {
  /** The file's absolute path. */
  file: string;
  name: string;
  /** URL or settings with `${ENV}` unexpanded and a literal password replaced; see `src/plan/endpoints.ts`. */
  source: EndpointSpec;
  target: EndpointSpec;
  /** Absolute paths of DDL files, applied to the target before anything else. */
  schema: string[];
  settings: Settings;
  /** Same-shape copies: table names, or `*` for every table. */
  tables: string[] | '*';
  idMaps: IdMapSpec[];
  flows: FlowSpec[];
  /** Whether target tables that hold rows already are accepted (`allow_non_empty: true`). Defaults to false. */
  allowNonEmpty: boolean;
  /** `migration.dry_run`: as if `migrate` had been called with `--dry-run`. Defaults to false. */
  dryRun: boolean;
  /** `migration.backup_before_migrate`: refused while a target table holds rows. Defaults to false. */
  backupBeforeMigrate: boolean;
  /** Line of each path in the file, for problems that only a catalog can show. */
  lines: Record<string, number>;
}

/**
 * A database as the ledger keeps it: a libpq URL or keyword/value settings, `${ENV}` unexpanded, no password.
 * `passwordVariable` names the environment variable that holds a password which stood literally in the plan.
 */
export interface EndpointSpec {
  url?: string;
  settings?: Record<string, string>;
  passwordVariable?: string;
}

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
  format: 'binary' | 'text';
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

/** One thing wrong with a plan, or worth knowing about it. */
export interface PlanProblem {
  severity: 'error' | 'warning';
  at: PlanLocation;
  message: string;
  hint?: string;
}
