import { RowfleetError } from '../errors.ts';
import type { Session } from '../pg/session.ts';
import { setSearchPath } from '../pg/transaction.ts';

/** What a session tells about its server, its database and itself. */
export interface ServerFacts {
  /** server_version_num, e.g. 180004. */
  version: number;
  encoding: string;
  /** Whether the server converts between its encoding and the UTF-8 that rowfleet speaks. */
  convertsUtf8: boolean;
  inRecovery: boolean;
  readOnly: boolean;
  role: string;
  database: string;
  /** Whether a schema named rowfleet exists or may be created by this role. */
  mayHoldLedger: boolean;
  /** Equal for two sessions only when both are on the same database of the same running server. */
  identity: string;
  /** Decides how `money` is written as text. */
  moneyLocale: string;
  hasLargeObjects: boolean;
}

/** Reads the facts. Works inside and outside a transaction. */
export async function readServer(session: Session): Promise<ServerFacts> {
  const { rows } = await session.query<ServerFacts>(`
    select pg_catalog.current_setting('server_version_num')::int as version,
      pg_catalog.current_setting('server_encoding') as encoding,
      pg_catalog.current_setting('server_encoding') in ('UTF8', 'SQL_ASCII') or exists (
        select from pg_catalog.pg_conversion
        where conforencoding = pg_catalog.pg_char_to_encoding(pg_catalog.current_setting('server_encoding'))
          and contoencoding = pg_catalog.pg_char_to_encoding('UTF8') and condefault) as "convertsUtf8",
      pg_catalog.pg_is_in_recovery() as "inRecovery",
      pg_catalog.current_setting('default_transaction_read_only')::bool as "readOnly",
      current_user::text as role,
      pg_catalog.current_database()::text as database,
      coalesce(pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace('rowfleet')::oid, 'create'),
        pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create')) as "mayHoldLedger",
      pg_catalog.pg_postmaster_start_time()::text || ' ' ||
        (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) as identity,
      pg_catalog.current_setting('lc_monetary') as "moneyLocale",
      exists (select from pg_catalog.pg_largeobject_metadata) as "hasLargeObjects"`);
  return rows[0]!;
}

/**
 * The schemas that this role's own search_path leads to, in order: what plan text is written against. The
 * session's empty path is left as it was.
 */
export async function readSearchPath(session: Session): Promise<string[]> {
  const { rows } = await session.query<{ path: string[] }>(`
    with own as materialized (
      select pg_catalog.set_config('search_path', reset_val, true) as path
      from pg_catalog.pg_settings where name = 'search_path')
    select pg_catalog.current_schemas(false)::text[] as path from own`);
  if (inOpenTransaction(session)) await setSearchPath(session, []);
  return rows[0]!.path;
}

/** Whether the session stands in a transaction of its caller's. */
export function inOpenTransaction(session: Session): boolean {
  const { getTransactionStatus } = session as Session & { getTransactionStatus?: () => string | null };
  return getTransactionStatus?.call(session) === 'T';
}

/**
 * Whether something between us and the server hands the session's statements to other backends, or could: a pooler
 * answers with a key of its own, so the backend it named is not the one that runs the statements.
 */
export async function isPooled(session: Session): Promise<boolean> {
  const announced = (session as Session & { processID?: number | null }).processID;
  for (let i = 0; i < 3; i++) {
    const { rows } = await session.query<{ pid: number; path: string }>(
      `select pg_catalog.pg_backend_pid() as pid, pg_catalog.current_setting('search_path') as path`,
    );
    if (rows[0]!.pid !== announced || rows[0]!.path.replaceAll('"', '') !== '') return true;
  }
  return false;
}

/**
 * What a database can be known by for good, across restarts: the cluster's system identifier, where the role may
 * read it, and the database's oid in it.
 */
export async function readDatabaseIdentity(session: Session): Promise<string> {
  const { rows } = await session.query<{ oid: string; readable: boolean }>(`
    select (select oid::text from pg_catalog.pg_database where datname = pg_catalog.current_database()) as oid,
      pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute') as readable`);
  const { oid, readable } = rows[0]!;
  if (!readable) return `?/${oid}`;
  const control = await session.query<{ system: string }>(
    'select system_identifier::text as system from pg_catalog.pg_control_system()',
  );
  return `${control.rows[0]!.system}/${oid}`;
}

/**
 * Throws SOURCE_OTHER unless the session is on the database that the plan was checked against: one fleet serves
 * several plans, and a variable of the same name may mean another source to each.
 */
export async function requireDatabase(session: Session, identity: string, label: string): Promise<void> {
  if ((await readDatabaseIdentity(session)) === identity) return;
  throw new RowfleetError(
    'SOURCE_OTHER',
    `the source ${label} is another database than the one the plan was checked against`,
    {
      hint: "set this process's environment as it was for `rowfleet migrate`, or give each plan a variable of its own",
    },
  );
}
