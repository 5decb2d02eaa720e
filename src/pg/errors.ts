import { RowfleetError } from '../errors.ts';
import { sqlStates } from './sql-states.ts';

/** What rowfleet looks at in a PostgreSQL error; `message` and `where` can quote a row's values. */
interface ServerError extends Error {
  code: string;
  severity: string;
  schema?: string;
  table?: string;
  column?: string;
  dataType?: string;
  constraint?: string;
  /** The context; quotes row values. */
  where?: string;
}

/** An error and its causes, outermost first. */
export function* causes(error: unknown): Generator<Error> {
  for (let depth = 0; error instanceof Error && depth < 10; depth++, error = error.cause) {
    yield error;
    if (error instanceof AggregateError) yield* error.errors.filter((inner) => inner instanceof Error);
  }
}

function serverError(error: unknown): ServerError | undefined {
  for (const each of causes(error)) {
    const { code, severity } = each as Partial<ServerError>;
    if (typeof severity === 'string' && /^[0-9A-Z]{5}$/.test(code ?? '')) return each as ServerError;
  }
  return undefined;
}

/** Whether a function raised the error: whatever SQLSTATE it chose, its rows are to blame. */
export function isRaised(error: unknown): boolean {
  const server = serverError(error);
  return server !== undefined && raises(server);
}

/** Errors that came when rows already passed, or while something was computed over them: not the statement is to blame. */
const amongRows = new WeakSet<object>();

/** Notes that rows are to blame for an error, if it is about a name. Returns it. */
export function markAmongRows<E>(error: E): E {
  if (error instanceof Error) amongRows.add(error);
  return error;
}

/** A name that a row spells, as one cast to regclass does, and that does not exist: PostgreSQL's message quotes it. */
const isNameOfRow = (error: ServerError): boolean =>
  amongRows.has(error) && /^(42|3F)/.test(error.code) && error.code !== sqlStates.insufficientPrivilege;

// PL/pgSQL's own, those of other languages, any code at all by RAISE, and, outside of functions, names that rows spell.
const raises = (error: ServerError): boolean =>
  /^(P0|2F|38|39)/.test(error.code) ||
  / RAISE$/m.test(error.where ?? '') ||
  (isNameOfRow(error) && !/SQL/.test(error.where ?? ''));

/** The constraint that the server named; it is a name, never a value. */
export function constraintOf(error: unknown): string | undefined {
  return serverError(error)?.constraint;
}

/** The column that the server named, in its answer or in a COPY's context. */
export function columnOf(error: unknown): string | undefined {
  const server = serverError(error);
  return server?.column ?? copyContext(server)?.[3];
}

/** The SQLSTATE that PostgreSQL answered with, also through wrapped errors; undefined when the server said nothing. */
export function sqlState(error: unknown): string | undefined {
  return serverError(error)?.code;
}

/** Node's code of a failed connection: ECONNREFUSED, CERT_HAS_EXPIRED and the like. */
export function nodeCode(error: unknown): string | undefined {
  for (const each of causes(error)) {
    const { code } = each as NodeJS.ErrnoException;
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_]{3,}$/.test(code)) return code;
  }
  return undefined;
}

const lostStates = /^(08|57P0[1-5])/;
const lostCodes = /^(ECONNRESET|EPIPE|ETIMEDOUT|ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/;
const lostMessages =
  /^(Connection terminated|Client has encountered a connection error|timeout expired|timeout exceeded when trying to connect|Query read timeout|Client was closed|Connection ended)/;

/**
 * Whether the session is gone or could not be had, so that the same work may succeed in a new one: a dead socket, a
 * terminated backend, a server that is down or starting.
 */
export function isConnectionLost(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return lostStates.test(state);
  if (lostCodes.test(nodeCode(error) ?? '')) return true;
  for (const { message } of causes(error)) if (lostMessages.test(message)) return true;
  return false;
}

/** Whether a statement met other schemas, tables or columns than it was written for. */
export const isOtherSchema = (error: unknown): boolean => /^(3F000|42P01|42703)$/.test(sqlState(error) ?? '');

/** Names of the conditions whose messages quote row values: classes 22 (data), 23 (integrity), and names that rows spell. */
const conditions: Record<string, string> = {
  '22000': 'data exception',
  '22001': 'string too long for its type',
  '22003': 'number out of range',
  '22004': 'null value not allowed',
  '22007': 'invalid date or time format',
  '22008': 'date or time out of range',
  '22009': 'invalid time zone displacement',
  '2200M': 'invalid XML document',
  '2200N': 'invalid XML content',
  '22011': 'substring error',
  '22012': 'division by zero',
  '22015': 'interval field overflow',
  '22018': 'invalid character value for cast',
  '22019': 'invalid escape character',
  '2201B': 'invalid regular expression',
  '2201E': 'invalid argument for logarithm',
  '2201F': 'invalid argument for power function',
  '22021': 'character not in the encoding’s repertoire',
  '22023': 'invalid parameter value',
  '22026': 'string length mismatch',
  '2202E': 'array subscript error',
  '22030': 'duplicate JSON object key',
  '22032': 'invalid JSON text',
  '22P01': 'floating-point exception',
  '22P02': 'invalid text representation',
  '22P03': 'invalid binary representation',
  '22P04': 'bad COPY file format',
  '22P05': 'untranslatable character',
  '3F000': 'no such schema',
  '42601': 'syntax error',
  '42602': 'invalid name',
  '42703': 'no such column',
  '42704': 'no such object',
  '42883': 'no such function',
  '42P01': 'no such table',
  '23000': 'integrity constraint violation',
  '23001': 'restrict violation',
  '23502': 'not-null violation',
  '23503': 'foreign key violation',
  '23505': 'unique violation',
  '23514': 'check violation',
  '23P01': 'exclusion violation',
};

/** Has the line that a COPY's error names counted from the first of several COPYs, which took so many rows before. Returns it. */
export function behindRows<E>(error: E, rows: number): E {
  const server = rows > 0 ? serverError(error) : undefined;
  if (server?.where !== undefined)
    server.where = server.where.replace(
      /^(COPY [^",\n]+, line )(\d+)/,
      (_, before, line) => `${before}${Number(line) + rows}`,
    );
  return error;
}

// Anchored and contiguous: what follows the line or the column is the row itself.
const copyContext = (error: ServerError | undefined) =>
  /^COPY ([^",\n]+), line (\d+)(?:, column ([^":,\n]+))?/.exec(error?.where ?? '');

/** `table public.chunks`, `column id`, `constraint chunks_pkey`, as far as the server named them. */
function placesOf(error: ServerError): string[] {
  const copy = copyContext(error);
  const named = error.table === undefined ? undefined : `${error.schema ?? ''}.${error.table}`;
  // A loader's own stage says nothing to people.
  const table = named ?? (copy?.[1]?.startsWith('rowfleet_') ? undefined : copy?.[1]);
  const column = error.column ?? copy?.[3];
  return [
    table && `table ${table}`,
    column && `column ${column}`,
    copy && `line ${copy[2]} of the batch`,
    error.dataType && `type ${error.dataType}`,
    error.constraint && `constraint ${error.constraint}`,
  ].filter((place) => typeof place === 'string' && place !== '') as string[];
}

/** `not-null violation (SQLSTATE 23502): table public.chunks, column id`: a refusal without the row's values. */
export function refusalMessage(code: string, places: string[], otherwise = 'row refused'): string {
  const place = places.length === 0 ? '' : `: ${places.join(', ')}`;
  return `${conditions[code] ?? otherwise} (SQLSTATE ${code})${place}`;
}

/**
 * One line about an error that may go to logs, the ledger and jobs: never a row value, never NUL. Data and integrity
 * errors, and what functions raise, quote values in PostgreSQL's own message, so theirs is made from the
 * condition's name and the table, column, type and constraint; `detail` and `hint` are never used.
 */
export function safeMessage(error: unknown): string {
  if (error instanceof RowfleetError) return clean(error.message);
  const server = serverError(error);
  if (server === undefined) return clean(error instanceof Error ? error.message : String(error));
  if (raises(server) || isNameOfRow(server) || /^(22|23|44)/.test(server.code)) {
    const raised = raises(server) && !isNameOfRow(server) ? 'error raised by a function' : undefined;
    return clean(refusalMessage(server.code, placesOf(server), raised));
  }
  return clean(`${server.message} (SQLSTATE ${server.code})`);
}

const clean = (text: string): string =>
  text
    .replaceAll('\0', '')
    .replace(/\s*\n\s*/g, ' ')
    .trim();
