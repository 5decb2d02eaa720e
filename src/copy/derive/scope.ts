import { ident, literal } from '../../pg/quote.ts';
import type { Session } from '../../pg/session.ts';
import type { ResolvedColumn, ResolvedFlow } from '../../plan/resolved-plan.ts';
import { carried, type Range, rangeConditions, selectRows } from '../../plan/statements/select.ts';

/** Which driving rows are derived anew. */
export type Scope =
  /** What a batch reads. Says nothing of rows that have left its blocks. */
  | { kind: 'batch'; range: Range }
  /** Driving rows by their key: column → value as text. */
  | { kind: 'keys'; keys: Record<string, string>[] }
  /** The first column of the driving key, from `from` (inclusive) to `to` (exclusive) as text; null is open. */
  | { kind: 'range'; from: string | null; to: string | null }
  | { kind: 'whole' };

const textual = /^(text|character varying)(\(\d+\))?$/;

/** Text is compared by its bytes: the two servers' collations need not agree. */
const ordered = (sql: string, type: string): string =>
  textual.test(type) ? `${sql} collate pg_catalog."C"` : sql;

/** What `sql`, of a key column's type, must be to lie between two bounds. */
export function betweenConditions(
  sql: string,
  type: string,
  bounds: { from: string | null; to: string | null },
): string[] {
  return [
    ...(bounds.from === null ? [] : [`${ordered(sql, type)} >= ${literal(bounds.from)}`]),
    ...(bounds.to === null ? [] : [`${ordered(sql, type)} < ${literal(bounds.to)}`]),
  ];
}

/** What columns must be to hold one of the given keys. */
export function amongCondition(columns: string[], keys: string[][]): string {
  const list = keys.map((values) => `(${values.map(literal).join(', ')})`);
  return keys.length === 0 ? 'false' : `((${columns.join(', ')}) in (${list.join(', ')}))`;
}

/** The column of the flow that a column of the driving key is copied into as it is. */
const typeOf = (flow: ResolvedFlow, name: string): string =>
  flow.columns.find((column) => column.sourceColumn === name)?.sourceType ?? '';

function scopeConditions(flow: ResolvedFlow, scope: Scope): string[] {
  const own = (name: string) => `${flow.alias}.${ident(name)}`;
  switch (scope.kind) {
    case 'batch':
      return rangeConditions(flow.alias, scope.range);
    case 'keys':
      return [
        amongCondition(
          flow.drivingKey.map(own),
          scope.keys.map((key) => flow.drivingKey.map((name) => key[name]!)),
        ),
      ];
    case 'range': {
      const first = flow.drivingKey[0]!;
      return betweenConditions(own(first), typeOf(flow, first), scope);
    }
    case 'whole':
      return [];
  }
}

/** `COPY (…) TO STDOUT` of what a scope yields, for the source. */
export function copyOutOfScope(flow: ResolvedFlow, scope: Scope): string {
  const leaf = scope.kind === 'batch' ? scope.range.leaf : undefined;
  const list = carried(flow).map((column) => `(${column.copyExpression}\n)`);
  const conditions = scopeConditions(flow, scope);
  return `copy (${selectRows(flow, list, { ...(leaf && { leaf }), conditions })}) to stdout (format ${flow.format})`;
}

/** The values of a key column as the source itself writes them: `007` is 7. The source's transaction is open. */
export async function asWritten(
  source: Session,
  { sourceType }: ResolvedColumn,
  values: string[],
): Promise<string[]> {
  const { rows } = await source.query<{ texts: string[] }>(
    `select array(select (v::${sourceType})::pg_catalog.text
        from pg_catalog.unnest($1::pg_catalog.text[]) with ordinality as u (v, n) order by n) as texts`,
    [values],
  );
  return rows[0]!.texts;
}
