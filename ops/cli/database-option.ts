import { usageError } from '../../src/errors.ts';
import { parseConninfo } from '../../src/pg/conninfo.ts';
import { type Endpoint, endpointFromSettings, endpointFromUrl } from '../../src/pg/endpoint.ts';
import { parseUrl } from '../../src/pg/url.ts';

/** A database that an option names. */
export interface DatabaseOption {
  endpoint: Endpoint;
  /** The variable by which a plan should name it: the one that was given, else the usual one. */
  variable: string;
  /** A password stood on the command line. */
  passwordShown: boolean;
}

/**
 * Reads `--from` or `--to`: a URL, libpq settings (`host=… dbname=…`), `${VARIABLE}` for one that holds a URL, as plans
 * name it, or `-` for the usual variable. Throws a usage error that names the option or the variable, never what stands in it.
 */
export function readDatabaseOption(option: string, given: string, usual: string): DatabaseOption {
  const named = given === '-' ? usual : /^\$\{([A-Za-z_]\w*)\}$/.exec(given)?.[1];
  const text = named === undefined ? given : (process.env[named] ?? '');
  if (text.trim() === '')
    throw usageError(
      'VARIABLE_MISSING',
      named === undefined ? `${option} is empty` : `${named} is not set, and ${option} refers to it`,
      `export ${named ?? usual}=postgres://user@host/database`,
    );
  const where = named ?? option;
  const isSettings = named === undefined && !text.includes('://') && text.includes('=');
  const settings = isSettings ? parseConninfo(text) : undefined;
  const endpoint =
    settings === undefined
      ? endpointFromUrl(text, process.env, where)
      : endpointFromSettings(settings, process.env);
  const shown = named === undefined && Boolean((settings ?? parseUrl(text)).password);
  return { endpoint, variable: named ?? usual, passwordShown: shown };
}
