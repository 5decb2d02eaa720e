import { existsSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import type pg from 'pg';
import { RowfleetError, usageError } from '../errors.ts';
import { passwordMissing } from './connection-error.ts';
import { completeParameters, type Parameters } from './parameters.ts';
import { passwordFromFile } from './passfile.ts';
import { readTls, type SslMode } from './tls.ts';
import { parseUrl } from './url.ts';

/** A database that can be connected to: secrets inside, never logged. `label` is what people may see. */
export interface Endpoint {
  /**
   * Ready for pg.Client and pg.Pool, except that under `prefer` and `allow` it still insists on TLS: what a server
   * of those modes takes is found out by `settledConfig` (src/pg/client.ts).
   */
  config: pg.PoolConfig;
  /** `host:port/database`, without user or password. */
  label: string;
  /** How TLS was asked for; always `disable` over a Unix socket, which libpq never encrypts. */
  sslMode: SslMode;
}

const whole = (name: string, text: string, max: number): number => {
  const value = Number(text);
  if (/^-?\d+$/.test(text) && value <= max) return value;
  throw usageError('CONNECTION_PARAMETER', `${name} must be a whole number`, `At most ${max}.`);
};

/** libpq's default: the server's Unix socket where there is one, else localhost. */
function defaultHost(port: number): string {
  const directories = process.platform === 'win32' ? [] : ['/var/run/postgresql', '/tmp'];
  return directories.find((directory) => existsSync(join(directory, `.s.PGSQL.${port}`))) ?? 'localhost';
}

/** Called when the server asks for a password; keeps pg from its own environment and password file. */
function noPassword(): string {
  throw new Error(passwordMissing);
}

function timeoutMs(seconds: string | undefined): number | undefined {
  if (seconds === undefined) return undefined;
  const value = whole('connect_timeout', seconds, 2_000_000);
  // libpq: 0 and below wait for ever, 1 means 2.
  return value <= 0 ? 0 : Math.max(2, value) * 1000;
}

function labelOf(host: string, port: number, database: string): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}/${database}`;
}

/** Keeps secrets out of logs and terminals, whatever prints an endpoint. */
function shielded(endpoint: Endpoint): Endpoint {
  const show = { enumerable: false, value: () => endpoint.label };
  return Object.defineProperties(endpoint, { toJSON: show, [inspect.custom]: show });
}

function build(given: Parameters, env: NodeJS.ProcessEnv): Endpoint {
  const parameters = completeParameters(given, env);
  const home = env.HOME ?? homedir();
  const port = whole('port', parameters.port ?? '5432', 65_535);
  if (port < 1) throw usageError('CONNECTION_PARAMETER', 'port must be a whole number', 'From 1 to 65535.');
  const host = parameters.host ?? defaultHost(port);
  if (host.includes(',')) {
    throw usageError(
      'CONNECTION_PARAMETER',
      'host names several servers',
      'rowfleet connects to one: name it.',
    );
  }
  const user = parameters.user ?? userInfo().username;
  const database = parameters.dbname ?? user;
  const passfile = parameters.passfile ?? join(home, '.pgpass');
  const password = parameters.password ?? passwordFromFile(passfile, { host, port, database, user });
  const tls = readTls(parameters, home, env);
  const local = host.startsWith('/');
  const timeout = timeoutMs(parameters.connect_timeout);
  const config: pg.PoolConfig = {
    host,
    port,
    user,
    database,
    password: password ?? noPassword,
    ssl: local ? false : (tls.options ?? false),
    ...(parameters.application_name ? { application_name: parameters.application_name } : {}),
    ...(parameters.options ? { options: parameters.options } : {}),
    ...(timeout === undefined ? {} : { connectionTimeoutMillis: timeout }),
  };
  return shielded({ config, label: labelOf(host, port, database), sslMode: local ? 'disable' : tls.mode });
}

/**
 * Reads a libpq URL. What it leaves out comes from the PG* environment variables, then from libpq's defaults.
 * Throws usage errors that name the parameter or file at fault, never a value that may be secret.
 * @param name the variable that the URL stands in, for the errors
 */
export function endpointFromUrl(url: string, env: NodeJS.ProcessEnv = process.env, name?: string): Endpoint {
  try {
    return build(parseUrl(url), env);
  } catch (error) {
    if (name === undefined || !(error instanceof RowfleetError)) throw error;
    throw usageError(error.code, `${name}: ${error.message}`, error.hint);
  }
}

/**
 * Reads connection settings by name: libpq's names, and `database`, `username`, `ssl_mode`, `ssl_root_cert`,
 * `ssl_cert`, `ssl_key`. Defaults and errors as in `endpointFromUrl`.
 */
export function endpointFromSettings(
  settings: Record<string, string>,
  env: NodeJS.ProcessEnv = process.env,
): Endpoint {
  return build(settings, env);
}
