import { type RowfleetError, usageError } from '../errors.ts';
import type { Parameters } from './parameters.ts';

// Never says what stands in the URL: a password may be anywhere in a malformed one.
const malformed = (reason: string): RowfleetError =>
  usageError(
    'CONNECTION_URL',
    `the connection URL is malformed: ${reason}`,
    'It looks like postgres://user:password@host:5432/database?sslmode=verify-full, with @ : / ? # % in names and passwords percent-encoded.',
  );

function decode(text: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    throw malformed('a % is not followed by the two hexadecimal digits of a UTF-8 byte');
  }
  if (decoded.includes('\0')) throw malformed('%00 is not allowed');
  return decoded;
}

function splitAt(text: string, index: number): [string, string] {
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)];
}

function parseServer(server: string): Parameters {
  if (server.includes(',')) throw malformed('it names several hosts; rowfleet connects to one');
  const bracketed = /^\[([0-9a-fA-F:.%]+)\](?::(.*))?$/.exec(server);
  if (server.startsWith('[') && !bracketed) throw malformed('the IPv6 address in brackets is not one');
  const [host, port] = bracketed ? [bracketed[1]!, bracketed[2] ?? ''] : splitAt(server, server.indexOf(':'));
  return { host: decode(host), port: decode(port) };
}

/**
 * Takes a libpq URL apart (`postgres://` or `postgresql://`), as libpq does: everything percent-decoded, `+` is a
 * plus, `#` has no meaning, a query parameter wins over the same thing in the front. An `@` in the password
 * may stand unencoded.
 */
export function parseUrl(url: string): Parameters {
  const scheme = /^postgres(?:ql)?:\/\//.exec(url);
  if (!scheme) throw malformed('it does not begin with postgres:// or postgresql://');
  const [front, query] = splitAt(url.slice(scheme[0].length), url.indexOf('?') - scheme[0].length);
  const [authority, database] = splitAt(front, front.indexOf('/'));
  const at = authority.lastIndexOf('@');
  // libpq ends the server at the first slash: what was meant as user and password would be host and port.
  if (at < 0 && /:(?!\d*$)/.test(authority) && database.includes('@'))
    throw malformed('a / in front of the @ is not percent-encoded: write %2F in user and password');
  const [user, password] =
    at < 0 ? ['', ''] : splitAt(authority.slice(0, at), authority.slice(0, at).indexOf(':'));
  const parameters: Parameters = {
    user: decode(user),
    password: decode(password),
    ...parseServer(authority.slice(at + 1)),
    dbname: decode(database),
  };
  for (const pair of query.split('&').filter(Boolean)) {
    if (!pair.includes('=')) throw malformed('a query parameter has no value');
    const [name, value] = splitAt(pair, pair.indexOf('='));
    parameters[decode(name)] = decode(value);
  }
  return parameters;
}
