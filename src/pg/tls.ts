import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { usageError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import type { Parameters } from './parameters.ts';

const modes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof modes)[number];

/** How to speak TLS to a server: `options` is unset only for `disable`. */
export interface Tls {
  mode: SslMode;
  options?: ConnectionOptions;
}

/** Where systems keep the authorities they trust; Node's own list stands in where there is none. */
const systemBundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

function readPem(parameter: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const reason =
      (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it does not exist' : 'it cannot be read';
    throw usageError('CONNECTION_TLS', `${parameter} names ${path}, but ${reason}`, `Correct ${parameter}.`);
  }
}

function readMode(parameters: Parameters): SslMode {
  const system = parameters.sslrootcert === 'system';
  const written = parameters.sslmode ?? (system ? 'verify-full' : 'prefer');
  const mode = modes.find((known) => known === written);
  if (mode === undefined) {
    const near = nearest(written, modes);
    throw usageError(
      'CONNECTION_TLS',
      `sslmode ${JSON.stringify(written)} does not exist`,
      near ? `Did you mean ${near}?` : `It is one of ${modes.join(', ')}.`,
    );
  }
  if (system && mode !== 'verify-full') {
    throw usageError(
      'CONNECTION_TLS',
      `sslmode=${mode} is too weak for sslrootcert=system`,
      'Anyone can have a certificate from a public authority: use sslmode=verify-full.',
    );
  }
  return mode;
}

/** The authorities to trust; none when the server's certificate is not to be verified. */
function readAuthorities(mode: SslMode, parameters: Parameters, home: string, env: NodeJS.ProcessEnv) {
  if (parameters.sslrootcert === 'system') {
    const bundle = env.SSL_CERT_FILE ?? systemBundles.find((path) => existsSync(path));
    return { verify: true, ...(bundle ? { ca: readPem('SSL_CERT_FILE', bundle) } : {}) };
  }
  const path = parameters.sslrootcert ?? join(home, 'root.crt');
  if (existsSync(path)) return { verify: true, ca: readPem('sslrootcert', path) };
  if (mode === 'verify-ca' || mode === 'verify-full') {
    throw usageError(
      'CONNECTION_TLS',
      `sslmode=${mode} needs the authority’s certificate, but ${path} does not exist`,
      'Name it with sslrootcert, use sslrootcert=system for the authorities this machine trusts, or lower sslmode.',
    );
  }
  if (parameters.sslrootcert) readPem('sslrootcert', path);
  return { verify: false };
}

function checkKeyMode(path: string): void {
  if (process.platform === 'win32') return;
  const { mode, uid } = statSync(path);
  // As libpq: root may share a key with a group (0640), everyone else keeps it to themselves (0600).
  if ((mode & (uid === 0 ? 0o037 : 0o077)) === 0) return;
  throw usageError(
    'CONNECTION_TLS',
    `sslkey ${path} can be read by others`,
    'chmod 600 it, or 640 when it belongs to root.',
  );
}

/** The client's own certificate, if there is one. */
function readIdentity(parameters: Parameters, home: string): ConnectionOptions {
  const certPath = parameters.sslcert ?? join(home, 'postgresql.crt');
  if (!parameters.sslcert && !existsSync(certPath)) return {};
  const keyPath = parameters.sslkey ?? join(home, 'postgresql.key');
  const identity = { cert: readPem('sslcert', certPath), key: readPem('sslkey', keyPath) };
  checkKeyMode(keyPath);
  return parameters.sslpassword ? { ...identity, passphrase: parameters.sslpassword } : identity;
}

/**
 * What sslmode, sslrootcert, sslcert and sslkey ask for, as libpq understands them: with an authority at hand
 * (sslrootcert, or ~/.postgresql/root.crt) every mode verifies the chain; verify-full the server's name too.
 * Throws usage errors that name the parameter or the file.
 */
export function readTls(parameters: Parameters, homeDirectory: string, env: NodeJS.ProcessEnv): Tls {
  const mode = readMode(parameters);
  if (mode === 'disable') return { mode };
  const home =
    process.platform === 'win32' && env.APPDATA
      ? join(env.APPDATA, 'postgresql')
      : join(homeDirectory, '.postgresql');
  const { verify, ca } = readAuthorities(mode, parameters, home, env);
  const options: ConnectionOptions = {
    rejectUnauthorized: verify,
    ...(ca === undefined ? {} : { ca }),
    ...readIdentity(parameters, home),
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
  return { mode, options };
}
