import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { Relations, readRelations } from '../catalog/relations.ts';
import { readSearchPath } from '../catalog/server.ts';
import { RowfleetError, usageError } from '../errors.ts';
import { sqlState } from '../pg/errors.ts';
import type { Session } from '../pg/session.ts';
import { sqlStates } from '../pg/sql-states.ts';
import { setSearchPath, underSavepoint } from '../pg/transaction.ts';
import type { Plan } from './plan.ts';
import { findTable } from './sql/names.ts';
import { faultOfSchemaFile } from './sql/schema-file.ts';

const lockTimeout = '5s';

/**
 * Whether the plan's DDL files have yet to be applied: it names some, and a table that it fills does not exist. With
 * `tables: "*"` alone: the target holds no table at all.
 */
export async function schemaIsMissing(plan: Plan, target: Session): Promise<boolean> {
  if (plan.schema.length === 0) return false;
  const relations = new Relations(await readRelations(target));
  const searchPath = await readSearchPath(target);
  const named = [
    ...plan.flows.flatMap(({ outputs }) => outputs.map(({ to }) => to)),
    ...(plan.tables === '*' ? [] : plan.tables),
  ];
  const missing = named.some((name) => findTable(relations, searchPath, name).relation === undefined);
  return missing || (plan.tables === '*' && !relations.all.some(({ ofExtension }) => !ofExtension));
}

const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length;

/** The server counts characters, JavaScript UTF-16 units. */
const offsetOf = (text: string, position: number): number => [...text].slice(0, position - 1).join('').length;

/** What is wrong with one of the plan's DDL files, or with applying it. */
export class SchemaFileError extends RowfleetError {
  readonly file: string;
  readonly line: number;
  /** Without file and line. */
  readonly fault: string;

  constructor(file: string, line: number, fault: string, options: { hint: string; cause?: unknown }) {
    super('SCHEMA_FILE', `${file}:${line}: ${fault}`, { kind: 'usage', ...options });
    [this.file, this.line, this.fault] = [file, line, fault];
  }
}

function refuseFault(file: string, text: string): void {
  const fault = faultOfSchemaFile(text);
  if (!fault) return;
  throw new SchemaFileError(file, lineAt(text, fault.at), fault.message, {
    hint: 'The files of schema run together in one transaction, as plain SQL: `pg_dump --schema-only` without psql commands, no BEGIN or COMMIT.',
  });
}

/** What pg_dump writes for psql since 2025; blanked rather than cut out, so that places stay right. */
const restriction = /^\\(?:un)?restrict [A-Za-z0-9]+$/gm;

type SettingRow = { name: string; value: string };

// A file may SET what it likes (pg_dump's do): what the session had pinned must hold again afterwards.
const settingsQuery = `
  select name::text, setting as value from pg_catalog.pg_settings where source = 'session'
  union all select 'role', pg_catalog.current_setting('role')`;

async function restoreSettings(session: Session, before: SettingRow[]): Promise<void> {
  const { rows: after } = await session.query<SettingRow>(settingsQuery);
  const known = new Map(before.map(({ name, value }) => [name, value]));
  const changed = after.filter(({ name, value }) => known.get(name) !== value);
  const gone = before.filter(({ name }) => !after.some((each) => each.name === name));
  for (const { name } of [...changed, ...gone]) {
    const value = known.get(name);
    await session.query(
      value === undefined
        ? `select pg_catalog.set_config(name, reset_val, false) from pg_catalog.pg_settings where name = $1`
        : `select pg_catalog.set_config($1, $2, false)`,
      value === undefined ? [name] : [name, value],
    );
  }
}

async function runFile(target: Session, file: string, text: string): Promise<void> {
  try {
    await target.query(text);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    const line = error.position === undefined ? 1 : lineAt(text, offsetOf(text, Number(error.position)));
    const hint =
      error.code === sqlStates.lockNotAvailable
        ? `Something else has held a lock for ${lockTimeout}: try again when it is gone.`
        : (error.hint ?? 'Nothing of the plan’s schema was applied. Mend the file and start again.');
    throw new SchemaFileError(file, line, error.message, { hint, cause: error });
  }
}

/**
 * Runs the plan's DDL files in the target, in the caller's open transaction, against the role's own search_path.
 * The caller commits, or rolls back for a dry run. The session's settings are as before afterwards. Throws a
 * usage error with file and line; the transaction is broken then.
 */
export async function applySchema(target: Session, plan: Plan): Promise<void> {
  const files = await Promise.all(
    plan.schema.map(async (file) => {
      const text = await readFile(file, 'utf8').catch(() => undefined);
      if (text === undefined)
        throw usageError('SCHEMA_FILE', `${file} cannot be read`, 'It stands under schema in the plan.');
      const sql = text.replace(restriction, (line) => ' '.repeat(line.length));
      refuseFault(file, sql);
      return { file, text: sql };
    }),
  );
  if (files.length === 0) return;
  const searchPath = await readSearchPath(target);
  const { rows: before } = await target.query<SettingRow>(settingsQuery);
  for (const { file, text } of files) {
    await setSearchPath(target, searchPath);
    await target.query(`set local lock_timeout = '${lockTimeout}'`);
    await runFile(target, file, text);
  }
  await restoreSettings(target, before);
}

/** What a file makes is there already; a constraint is an object. */
const duplicates = new Set([
  sqlStates.duplicateSchema,
  sqlStates.duplicateTable,
  sqlStates.duplicateFunction,
  sqlStates.duplicateObject,
  sqlStates.duplicateColumn,
]);

/**
 * Applies the DDL files like `applySchema`, but where what they make is there already nothing of them stays, and the
 * error is returned: then it is the plan that names a table which they do not make, and that is to be said.
 */
export async function tryApplySchema(target: Session, plan: Plan): Promise<SchemaFileError | undefined> {
  const isThere = (error: unknown) =>
    error instanceof SchemaFileError && duplicates.has(sqlState(error.cause) ?? '');
  const outcome = await underSavepoint(target, isThere, () => applySchema(target, plan));
  return outcome.kind === 'done' ? undefined : (outcome.error as SchemaFileError);
}
