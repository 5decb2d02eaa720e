import type { TransformInput, TransformOutput, ValueName } from './types.ts';

/** What is known of one flow's transform. */
export interface DeclaredTransform {
  flow: string;
  chunk?: number;
  constants?: Record<string, unknown>;
  input: TransformInput[];
  output: TransformOutput[];
}

const given: Record<ValueName, string> = {
  int8: 'bigint',
  int4: 'number',
  int2: 'number',
  oid: 'number',
  float8: 'number',
  float4: 'number',
  numeric: 'string',
  bool: 'boolean',
  json: 'Json',
  jsonb: 'Json',
  bytea: 'Uint8Array',
  timestamptz: 'string',
  timestamp: 'string',
  date: 'string',
  uuid: 'string',
  plain: 'string',
  text: 'string',
  other: 'string',
};

/** Where more may be returned than is given. */
const returned: Partial<Record<ValueName, string>> = {
  int8: 'number | bigint',
  int4: 'number | bigint',
  int2: 'number | bigint',
  oid: 'number | bigint',
  numeric: 'string | bigint',
  timestamptz: 'string | Date',
};

const heading = (
  plan: string,
): string => `// Made by \`rowfleet types\` from ${plan}: make it anew when the plan or a table changes.

/** A value of JSON, as JSON.parse gives it: numbers beyond 2^53 are rounded. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The second argument of every call. */
export interface TransformContext<Constants = Readonly<Record<string, Json>>> {
  /** The constants of the plan. */
  readonly constants: Constants;
  /** Finds the new id of an old key in an id map of the plan; null where there is none. A key of several columns is an array. */
  readonly idMap: (name: string, key: unknown) => Promise<string | bigint | null>;
  /** Aborted when the batch is given up. */
  readonly signal: AbortSignal;
}

/** What one row becomes: a row, several, or none. */
export type TransformResult<Row> = Row | Row[] | null | undefined;
`;

/** Text from a plan or a catalog within a comment of one line. */
const inComment = (text: string): string => text.replaceAll('*/', '* /').replace(/\s+/g, ' ');

const keyOf = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name));

/** Identifiers for the flows' interfaces, each its own. */
function identifiers(flows: DeclaredTransform[]): string[] {
  const taken = new Set<string>();
  return flows.map(({ flow }) => {
    const words = flow.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
    const joined = words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('');
    const base = /^[A-Z]/.test(joined) ? joined : `Flow${joined}`;
    let name = base;
    for (let i = 2; taken.has(name); i++) name = `${base}_${i}`;
    taken.add(name);
    return name;
  });
}

function typeText(
  { value, nullable }: TransformInput | TransformOutput,
  words: Partial<Record<ValueName, string>>,
): string {
  const word = words[value.name] ?? given[value.name];
  const isJson = value.name === 'json' || value.name === 'jsonb'; // `Json` has null in it
  const element = isJson ? word : `${word} | null`;
  if (value.array) return `${isJson ? element : `(${element})`}[]${nullable ? ' | null' : ''}`;
  return nullable ? element : word;
}

function constantType(value: unknown): string {
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  if (Array.isArray(value))
    return `ReadonlyArray<${[...new Set(value.map(constantType))].join(' | ') || 'never'}>`;
  const keys = Object.entries(value).map(([key, inner]) => `readonly ${keyOf(key)}: ${constantType(inner)}`);
  return `{ ${keys.join('; ')} }`;
}

const property = (name: string, type: string, comment: string): string =>
  `  /** ${inComment(comment)} */\n  ${name}: ${type};\n`;

function flowDeclarations(
  { flow, chunk, constants, input, output }: DeclaredTransform,
  name: string,
): string {
  const told = inComment(flow);
  const taken = input.map((column) => property(keyOf(column.name), typeText(column, {}), column.type));
  const filled = output.map((column) => {
    const key = `${keyOf(column.name)}${column.optional ? '?' : ''}`;
    return property(key, typeText(column, returned), column.type);
  });
  const context =
    constants === undefined ? 'TransformContext' : `TransformContext<${constantType(constants)}>`;
  const result = `TransformResult<${name}Output>`;
  const [parameter, promised] =
    chunk === undefined ? [`row: ${name}Input`, result] : [`rows: ${name}Input[]`, `${result}[]`];
  return `
/** What the flow ${told} gives to its transform. */
export interface ${name}Input {
${taken.join('')}}

/** A row that the transform of ${told} returns. */
export interface ${name}Output {
${filled.join('')}}

/** The transform of ${told}${chunk === undefined ? '' : `, which takes up to ${chunk} rows and returns an array of that length`}. */
export type ${name}Transform = (
  ${parameter},
  context: ${context},
) => ${promised} | Promise<${promised}>;
`;
}

/** TypeScript declarations for the transforms of a plan. `plan` is what the plan is called in the first line. */
export function declarations(plan: string, flows: DeclaredTransform[]): string {
  const names = identifiers(flows);
  return [heading(inComment(plan)), ...flows.map((flow, i) => flowDeclarations(flow, names[i]!))].join('');
}
