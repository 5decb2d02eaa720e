import { usageError } from '../errors.ts';
import { nearest } from '../nearest.ts';

/** Connection parameters by their libpq names; empty values are left out, as libpq does. */
export type Parameters = Record<string, string>;

/** What a connection can be told, and the environment variable that gives its default. */
const supported: Record<string, string | undefined> = {
  host: 'PGHOST',
  port: 'PGPORT',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  passfile: 'PGPASSFILE',
  dbname: 'PGDATABASE',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslpassword: undefined,
  application_name: 'PGAPPNAME',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  options: 'PGOPTIONS',
};

/** libpq parameters that rowfleet does not do: fine while they ask for nothing, refused by name otherwise. */
const refused: Record<string, { env?: string; harmless: string[]; hint: string }> = {
  hostaddr: { env: 'PGHOSTADDR', harmless: [], hint: 'Name the server with host.' },
  service: { env: 'PGSERVICE', harmless: [], hint: 'Write the service’s host, port and dbname out.' },
  servicefile: { env: 'PGSERVICEFILE', harmless: [], hint: 'Write the service’s host, port and dbname out.' },
  channel_binding: {
    env: 'PGCHANNELBINDING',
    harmless: ['disable', 'prefer'],
    hint: 'Leave it out and use sslmode=verify-full, which proves the server’s identity too.',
  },
  require_auth: { env: 'PGREQUIREAUTH', harmless: [], hint: 'Leave it out and use sslmode=verify-full.' },
  sslcrl: { env: 'PGSSLCRL', harmless: [], hint: 'Revocation lists are not read.' },
  sslcrldir: { env: 'PGSSLCRLDIR', harmless: [], hint: 'Revocation lists are not read.' },
  sslcertmode: {
    env: 'PGSSLCERTMODE',
    harmless: ['allow'],
    hint: 'A client certificate is sent when there is one.',
  },
  sslnegotiation: { env: 'PGSSLNEGOTIATION', harmless: ['postgres'], hint: 'Use sslnegotiation=postgres.' },
  sslcompression: { env: 'PGSSLCOMPRESSION', harmless: ['0'], hint: 'TLS compression is unsafe.' },
  sslsni: { env: 'PGSSLSNI', harmless: ['1'], hint: 'The server’s name is always sent.' },
  ssl_min_protocol_version: { env: 'PGSSLMINPROTOCOLVERSION', harmless: ['TLSv1.2'], hint: 'It is TLSv1.2.' },
  ssl_max_protocol_version: { env: 'PGSSLMAXPROTOCOLVERSION', harmless: [], hint: 'Leave it out.' },
  gssencmode: {
    env: 'PGGSSENCMODE',
    harmless: ['disable', 'prefer'],
    hint: 'Kerberos encryption is not built in; use TLS.',
  },
  krbsrvname: { env: 'PGKRBSRVNAME', harmless: [], hint: 'Kerberos is not built in.' },
  gsslib: { env: 'PGGSSLIB', harmless: [], hint: 'Kerberos is not built in.' },
  gssdelegation: { env: 'PGGSSDELEGATION', harmless: ['0'], hint: 'Kerberos is not built in.' },
  requirepeer: { env: 'PGREQUIREPEER', harmless: [], hint: 'Leave it out.' },
  target_session_attrs: {
    env: 'PGTARGETSESSIONATTRS',
    harmless: ['any'],
    hint: 'Name the one server that is meant: the primary for a target.',
  },
  load_balance_hosts: { env: 'PGLOADBALANCEHOSTS', harmless: ['disable'], hint: 'Name one server.' },
  replication: { harmless: ['false', 'off', 'no', '0'], hint: 'rowfleet uses ordinary sessions.' },
  client_encoding: { harmless: ['UTF8', 'utf8', 'UTF-8'], hint: 'Sessions use UTF8.' },
  fallback_application_name: { harmless: [], hint: 'Use application_name.' },
  keepalives: { harmless: ['1'], hint: 'Keepalives are always on.' },
  keepalives_idle: { harmless: [], hint: 'Keepalives begin after 10 seconds.' },
  keepalives_interval: { harmless: [], hint: 'Keepalives begin after 10 seconds.' },
  keepalives_count: { harmless: [], hint: 'Keepalives begin after 10 seconds.' },
  tcp_user_timeout: { harmless: ['0'], hint: 'Leave it out.' },
};

/** Names people write for libpq's: node-postgres, Rails and plan files have these. */
const aliases: Record<string, string> = {
  database: 'dbname',
  username: 'user',
  ssl_mode: 'sslmode',
  ssl_root_cert: 'sslrootcert',
  ssl_cert: 'sslcert',
  ssl_key: 'sslkey',
};

function refuse(name: string, where: string): never {
  const why = refused[name];
  if (why) throw usageError('CONNECTION_PARAMETER', `rowfleet does not support ${where}`, why.hint);
  const known = [...Object.keys(supported), ...Object.keys(aliases)];
  const near = nearest(name, known);
  throw usageError(
    'CONNECTION_PARAMETER',
    `unknown connection parameter ${JSON.stringify(name)}`,
    near ? `Did you mean ${near}?` : `Known are ${Object.keys(supported).join(', ')}.`,
  );
}

/**
 * Brings connection parameters to libpq's names and fills in the PG* environment variables as defaults.
 * Throws a usage error that names the parameter (never its value) for what is unknown or not done.
 */
export function completeParameters(given: Parameters, env: NodeJS.ProcessEnv): Parameters {
  const complete: Parameters = {};
  for (const [written, value] of Object.entries(given)) {
    const name = aliases[written] ?? written;
    if (name === 'ssl') {
      // What JDBC URLs have, and libpq accepts there.
      if (value !== 'true') throw usageError('CONNECTION_PARAMETER', 'ssl can only be true', 'Use sslmode.');
      complete.sslmode ??= 'require';
    } else if (refused[name]) {
      if (value !== '' && !refused[name].harmless.includes(value)) refuse(name, `the parameter ${name}`);
    } else if (!(name in supported)) {
      refuse(name, name);
    } else if (value !== '') {
      complete[name] = value;
    }
  }
  for (const [name, variable] of Object.entries(supported)) {
    if (variable && env[variable] && complete[name] === undefined) complete[name] = env[variable];
  }
  for (const [name, { env: variable, harmless }] of Object.entries(refused)) {
    const value = variable && env[variable];
    if (value && given[name] === undefined && !harmless.includes(value))
      refuse(name, `the environment variable ${variable}`);
  }
  return complete;
}
