import { RowfleetError } from '../errors.ts';
import { nodeCode, sqlState } from './errors.ts';

interface Advice {
  /** What is wrong, after "cannot connect to <label>: ". */
  reason: string;
  hint: string;
  /** The settings are at fault, not the moment. */
  usage?: boolean;
}

const byState: Record<string, Advice> = {
  '28P01': {
    reason: 'the password is wrong, or the user does not exist',
    hint: 'Check user and password in the URL, PGPASSWORD and ~/.pgpass (which must be mode 0600).',
    usage: true,
  },
  '28000': {
    reason: 'the server refuses this user, address or kind of connection',
    hint: 'pg_hba.conf on the server must have a line for this user, database, address and sslmode, and the role must be allowed to log in.',
    usage: true,
  },
  '3D000': {
    reason: 'the database does not exist',
    hint: 'Check its name, or create it: rowfleet fills databases, it does not create them.',
    usage: true,
  },
  '42501': {
    reason: 'the user may not connect to this database',
    hint: 'grant connect on database … to … lets it.',
    usage: true,
  },
  '53300': {
    reason: 'the server has no connection left',
    hint: 'Run fewer loaders or lower their concurrency, end idle sessions, or raise max_connections.',
  },
  '57P03': {
    reason: 'the server is starting up, shutting down or recovering',
    hint: 'Try again when it accepts connections.',
  },
  '57P05': { reason: 'the server ended the session as idle', hint: 'Try again.' },
  '08P01': {
    reason: 'the server, or a pooler in front of it, refuses a start-up parameter',
    hint: 'Connect to PostgreSQL itself rather than to a pooler.',
    usage: true,
  },
};

const certificate: Advice = {
  reason: 'the server’s certificate is not signed by an authority that is trusted',
  hint: 'Name the authority’s certificate with sslrootcert, or use sslmode=require to encrypt without knowing who answers.',
  usage: true,
};

const byCode: Record<string, Advice> = {
  ECONNREFUSED: {
    reason: 'nothing listens there',
    hint: 'Check host and port, and that the server runs and listens on that address.',
  },
  ENOENT: {
    reason: 'the server’s socket is not there',
    hint: 'Check the socket directory in host, the port, and that the server runs.',
  },
  EACCES: { reason: 'the server’s socket may not be opened', hint: 'Check its permissions.', usage: true },
  ENOTFOUND: {
    reason: 'the host name is unknown',
    hint: 'Check host for a typing error, and DNS.',
    usage: true,
  },
  EAI_AGAIN: { reason: 'the host name could not be looked up', hint: 'Check the network and DNS.' },
  ETIMEDOUT: {
    reason: 'no answer',
    hint: 'Check host, port, firewalls and security groups; connect_timeout sets how long to wait.',
  },
  EHOSTUNREACH: { reason: 'the host cannot be reached', hint: 'Check host, routes and firewalls.' },
  ENETUNREACH: { reason: 'the network cannot be reached', hint: 'Check host, routes and firewalls.' },
  ECONNRESET: {
    reason: 'the connection was cut while it was made',
    hint: 'Look into the server’s log; a firewall or a TLS mismatch does this too.',
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    reason: 'the server’s certificate is for another name',
    hint: 'Use the name or address that the certificate has as host, or sslmode=verify-ca to trust any name.',
    usage: true,
  },
  CERT_HAS_EXPIRED: {
    reason: 'the server’s certificate has expired',
    hint: 'Renew it on the server.',
    usage: true,
  },
  DEPTH_ZERO_SELF_SIGNED_CERT: certificate,
  SELF_SIGNED_CERT_IN_CHAIN: certificate,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: certificate,
  UNABLE_TO_GET_ISSUER_CERT: certificate,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: certificate,
  CERT_SIGNATURE_FAILURE: certificate,
  CERT_UNTRUSTED: certificate,
};

/** The message of the error by which an endpoint without a password answers a server that asks for one. */
export const passwordMissing = 'no password is known';

/** What pg says in words only. */
const byMessage: [RegExp, string, Advice][] = [
  [
    /does not support SSL/,
    'TLS_UNAVAILABLE',
    {
      reason: 'the server does not offer TLS, and sslmode asks for it',
      hint: 'Turn ssl on in the server, or use sslmode=prefer (TLS where it is offered) or disable.',
      usage: true,
    },
  ],
  [/timeout/i, 'ETIMEDOUT', byCode.ETIMEDOUT!],
  [
    /no password is known|password must be a (non-empty )?string/,
    'PASSWORD_MISSING',
    {
      reason: 'the server asks for a password and there is none',
      hint: 'Put it into the URL, PGPASSWORD or ~/.pgpass (which must be mode 0600).',
      usage: true,
    },
  ],
  [
    /Connection terminated|connection was closed/i,
    'CONNECTION_TERMINATED',
    {
      reason: 'the server closed the connection while it was made',
      hint: 'Look into the server’s log; is it PostgreSQL that listens there?',
    },
  ],
];

const tlsFailure: Advice = {
  reason: 'the TLS handshake failed',
  hint: 'Check sslrootcert, sslcert and sslkey against what the server expects; its log says more.',
  usage: true,
};

function find(error: unknown): [code: string, advice: Advice] {
  const state = sqlState(error);
  const message = error instanceof Error ? error.message : String(error);
  if (state !== undefined) {
    return [state, byState[state] ?? { reason: message, hint: 'Look into the server’s log.' }];
  }
  for (const [pattern, code, advice] of byMessage) if (pattern.test(message)) return [code, advice];
  const code = nodeCode(error);
  if (code !== undefined && byCode[code]) return [code, byCode[code]];
  if (code !== undefined && /SSL|TLS|CERT|EPROTO|OSSL/.test(code)) return [code, tlsFailure];
  return [
    code ?? 'CONNECTION_FAILED',
    { reason: message || (code ?? 'no reason given'), hint: 'Check the connection’s settings.' },
  ];
}

/**
 * A failed connection as an error for people. `code` is the SQLSTATE, else Node's code of the failure; its kind is
 * `usage` where settings must change before another try can succeed. The cause is kept; the label is all that is said
 * about where.
 */
export function connectionError(error: unknown, label: string): RowfleetError {
  if (error instanceof RowfleetError) return error;
  const [code, { reason, hint, usage }] = find(error);
  return new RowfleetError(code, `cannot connect to ${label}: ${reason}`, {
    kind: usage ? 'usage' : 'failed',
    hint,
    cause: error,
  });
}

/** Codes of failures for which host or port may be at fault as well as the moment. */
const perhapsSettings = new Set([
  ...['ECONNREFUSED', 'ENOENT', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN'],
]);

/** The error for one who has begun nothing yet: a server that cannot be found is a matter of the settings then. */
export function beforeAnything(error: unknown): unknown {
  if (!(error instanceof RowfleetError) || !perhapsSettings.has(error.code)) return error;
  const { code, message, hint, cause } = error;
  return new RowfleetError(code, message, { kind: 'usage', cause, ...(hint === undefined ? {} : { hint }) });
}
