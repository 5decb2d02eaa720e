/**
 * What a column's values are to a transform: the built-in type's name where JavaScript or its binary form has something of its
 * own for it, `text` for types whose binary form is their text (varchar and enums among them), `plain` for others whose text
 * never holds a backslash (times of day, intervals), `other` for all that are left.
 */
export type ValueName =
  | 'int8'
  | 'int4'
  | 'int2'
  | 'oid'
  | 'float8'
  | 'float4'
  | 'numeric'
  | 'bool'
  | 'json'
  | 'jsonb'
  | 'bytea'
  | 'timestamptz'
  | 'timestamp'
  | 'date'
  | 'uuid'
  | 'plain'
  | 'text'
  | 'other';

export interface ValueType {
  name: ValueName;
  /** An array of such values, of any number of dimensions. */
  array: boolean;
}

/** What the function is given for one key of its row. */
export interface TransformInput {
  name: string;
  /** The SQL expression over the source. */
  expression: string;
  /** `format_type` on the source. */
  type: string;
  value: ValueType;
  nullable: boolean;
}

/** A target column that the function fills. */
export interface TransformOutput {
  name: string;
  /** `format_type` on the target. */
  type: string;
  value: ValueType;
  nullable: boolean;
  /** May be left out of a returned row, which then has NULL: nullable and without a default. */
  optional: boolean;
}

/** The `transform` of a flow as the plan file has it. */
export interface TransformSpec {
  /** As written, with slashes, relative to the plan's folder. */
  file: string;
  /** Name of the export; `default` where none is given. */
  export: string;
  /** Rows that the function takes at once; absent where it takes one. */
  chunk?: number;
  /** Calls a second, in each process. */
  callsPerSecond?: number;
  /** What the function finds as `context.constants`. */
  constants?: Record<string, unknown>;
  /** Target columns that the function fills. Absent: all but generated ones. */
  returns?: string[];
}

/** A transform held against both catalogs and the code on disk; part of the resolved plan and so of its hash. */
export interface ResolvedTransform extends Omit<TransformSpec, 'returns'> {
  /** SHA-256 (hex) of the code, see `compileTransform`. */
  hash: string;
  input: TransformInput[];
  output: TransformOutput[];
}

export type InputRow = Record<string, unknown>;

/** Finds the new id of an old key in an id map of the plan, or null. A key of several columns is a list. */
export type IdMapLookup = (name: string, key: unknown) => Promise<string | bigint | null>;

/** The second argument of every call. */
export interface TransformContext {
  readonly constants: Readonly<Record<string, unknown>>;
  readonly idMap: IdMapLookup;
  /** Aborted when the batch is given up. */
  readonly signal: AbortSignal;
}

/** The plan's own function. It takes a row, or an array of rows where the plan says `chunk`; it may be async. */
export type TransformFunction = (input: InputRow | InputRow[], context: TransformContext) => unknown;
