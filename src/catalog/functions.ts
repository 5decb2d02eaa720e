import type { Session } from '../pg/session.ts';

/** One function of a database. */
export interface FunctionFacts {
  schema: string;
  name: string;
  /** pg_proc.prokind: function, aggregate, window function, procedure. */
  kind: 'f' | 'a' | 'w' | 'p';
  /** pg_proc.provolatile: immutable, stable, volatile. */
  volatility: 'i' | 's' | 'v';
  returnsSet: boolean;
  /** How many arguments a call may have; `most` is null for a variadic one. */
  least: number;
  most: number | null;
  /** As ALTER FUNCTION takes it: `app.slug(text)`. */
  signature: string;
}

/** The functions of any of the names, in all schemas. */
export async function readFunctions(session: Session, names: string[]): Promise<FunctionFacts[]> {
  if (names.length === 0) return [];
  const { rows } = await session.query<FunctionFacts>(
    `select n.nspname::text as schema, p.proname::text as name, p.prokind::text as kind,
      p.provolatile::text as volatility, p.proretset as "returnsSet",
      p.pronargs - p.pronargdefaults - (p.provariadic <> 0)::int as least,
      case when p.provariadic = 0 then p.pronargs end as most,
      pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname) || '('
        || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')' as signature
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where p.proname::text = any ($1::text[])`,
    [names],
  );
  return rows;
}

/** The names of all functions in the given schemas. */
export async function readFunctionNames(session: Session, schemas: string[]): Promise<string[]> {
  const { rows } = await session.query<{ name: string }>(
    `select distinct p.proname::text as name from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace where n.nspname::text = any ($1::text[]) order by name`,
    [schemas],
  );
  return rows.map(({ name }) => name);
}
