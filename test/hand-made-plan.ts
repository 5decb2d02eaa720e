import type { RelationName } from '../src/pg/quote.ts';
import { ident } from '../src/pg/quote.ts';
import type { DigestMethod, ResolvedFlow, ResolvedPlan, ResolvedTarget } from '../src/plan/resolved-plan.ts';
import type { TestDatabase } from './postgres.ts';

/** Target column → [expression over the source, target type]; the type defaults to text. */
export type HandMadeColumns = Record<string, string | [expression: string, type: string]>;

export interface HandMadeFlow {
  name?: string;
  /** `table alias` in schema public. */
  from: string;
  join?: string;
  joinRows?: ResolvedFlow['joinRows'];
  where?: string;
  to: string;
  columns: HandMadeColumns;
  hasCtid?: boolean;
}

const native =
  /^(smallint|integer|bigint|boolean|uuid|bytea|date|real|double precision|text|character varying|time)/;

/** How the resolver has a column of a built-in type hashed. */
export const methodOf = (type: string): DigestMethod => {
  if (type.startsWith('numeric') && !type.endsWith('[]')) return 'numeric';
  return native.test(type) && !type.endsWith('[]') ? 'native' : 'text';
};

const inPublic = (name: string): RelationName => ({ schema: 'public', name });

function resolvedFlow(flow: HandMadeFlow): ResolvedFlow {
  const [driving, alias] = flow.from.split(' ') as [string, string];
  const relation = { ...inPublic(driving), oid: 0 };
  return {
    name: flow.name ?? flow.to,
    driving: relation,
    drivingKey: [],
    alias,
    leaves: [{ ...relation, hasCtid: flow.hasCtid ?? true }],
    join: flow.join ?? '',
    ...(flow.joinRows && { joinRows: flow.joinRows }),
    where: flow.where ?? '',
    only: false,
    target: inPublic(flow.to),
    columns: Object.entries(flow.columns).map(([name, column]) => {
      const [expression, type] = typeof column === 'string' ? [column, 'text'] : column;
      const cast = `(${expression}\n)::${type}`;
      return {
        name,
        expression,
        copyExpression: cast,
        sourceType: type,
        targetType: type,
        compareExpression: cast,
        digest: methodOf(type),
        notNull: false,
      };
    }),
    format: 'text',
    reads: [],
  };
}

/** A resolved plan without the resolver: what the validator needs of it. Keys by target table. */
export function handMadePlan(flows: HandMadeFlow[], keys: Record<string, string[]> = {}): ResolvedPlan {
  const names = [...new Set(flows.map((flow) => flow.to))];
  const targets: ResolvedTarget[] = names.map((name) => ({
    ...inPublic(name),
    oid: 0,
    only: true,
    key: keys[name] ?? [],
  }));
  const database = () => ({
    endpoint: {},
    identity: '',
    version: 0,
    encoding: 'UTF8',
    searchPath: ['public'],
  });
  return {
    format: 1,
    name: 'hand-made',
    source: database(),
    target: database(),
    settings: {
      batchSize: 1000,
      maxRetries: 3,
      batchTimeoutMs: 30_000,
      parallelWorkers: 2,
      validationLevel: 'standard',
      quarantineLimit: { rows: 1000, ratio: 0.01 },
    },
    flows: flows.map(resolvedFlow),
    targets,
    allowNonEmpty: false,
  };
}

/** The columns of a table with their types, each filled by the source column of the same name. */
export async function sameColumns(
  target: TestDatabase,
  table: string,
  alias: string,
): Promise<HandMadeColumns> {
  const { rows } = await target.query<{ name: string; type: string }>(
    `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum`,
    [ident(table)],
  );
  return Object.fromEntries(rows.map(({ name, type }) => [name, [`${alias}.${ident(name)}`, type]]));
}
