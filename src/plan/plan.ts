import type { TransformSpec } from '../transform/types.ts';

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
