import type { PathSegment } from '../path.ts';
import type { EndpointSpec } from '../plan.ts';
import type { Problems } from '../problems.ts';
import type { DatabaseDocument } from './definition.ts';

const reference = /\$\{([^}]*)\}/g;
const onlyReferences = /^(?:\$\{[A-Za-z_]\w*\})+$/;

interface Reader {
  problems: Problems;
  path: PathSegment[];
  /** Where a literal password goes: variable → password. */
  secrets: Record<string, string>;
  /** The variable that stands for a literal password. */
  variable: string;
}

function checkReferences(text: string, { problems }: Reader, path: PathSegment[]): void {
  for (const [whole, name] of text.matchAll(reference)) {
    if (!/^[A-Za-z_]\w*$/.test(name!))
      problems.error(
        path,
        `${whole} names no environment variable`,
        'Write ${NAME}; defaults and the like are not understood.',
      );
  }
}

/** Takes a literal password out of the plan; a reference stays. Returns what may stay in the specification. */
function keepSecret(password: string, reader: Reader, path: PathSegment[]): string | undefined {
  if (password === '' || onlyReferences.test(password)) return password;
  if (password.includes('${')) {
    reader.problems.error(
      path,
      'the password mixes text with ${…}',
      'Put the whole password into the variable.',
    );
    return undefined;
  }
  reader.secrets[reader.variable] = password;
  return undefined;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Takes a URL apart only as far as its passwords: `src/pg/url.ts` reads the rest once it is expanded. */
export function specFromUrl(url: string, reader: Reader): EndpointSpec {
  checkReferences(url, reader, reader.path);
  if (onlyReferences.test(url)) return { url };
  const [, scheme, front, query] = /^(postgres(?:ql)?:\/\/)([^?]*)(?:\?(.*))?$/s.exec(url) ?? [];
  if (scheme === undefined) {
    const hint = 'It looks like postgres://user@host:5432/database, or ${SOURCE_DATABASE_URL}.';
    reader.problems.error(reader.path, 'this is no PostgreSQL URL', hint);
    return {};
  }
  const authority = front!.split('/')[0]!;
  const at = authority.lastIndexOf('@');
  if (front!.slice(authority.length).includes('@')) {
    // Whatever precedes that @ may be a password that holds a slash.
    reader.problems.error(
      reader.path,
      'the URL has an @ behind its first slash',
      'Percent-encode / and @ in the password.',
    );
    return {};
  }
  const [user, ...rest] = at < 0 ? [''] : authority.slice(0, at).split(':');
  const spec: EndpointSpec = {};
  let userinfo = user!;
  if (rest.length > 0) {
    const kept = keepSecret(rest.join(':'), { ...reader }, reader.path);
    if (kept === undefined) spec.passwordVariable = reader.variable;
    else userinfo += `:${kept}`;
  }
  const parameters = (query ?? '').split('&').filter((pair) => {
    const [name, ...value] = pair.split('=');
    if (decoded(name!) === 'sslpassword' && !onlyReferences.test(value.join('=')))
      reader.problems.error(reader.path, 'sslpassword stands in the plan', 'Write sslpassword=${VARIABLE}.');
    if (decoded(name!) !== 'password') return pair !== '';
    if (keepSecret(value.join('='), reader, reader.path) !== undefined) return true;
    spec.passwordVariable = reader.variable;
    return false;
  });
  if (spec.passwordVariable && reader.secrets[reader.variable] !== undefined)
    reader.secrets[reader.variable] = decoded(reader.secrets[reader.variable]!);
  const tail = front!.slice(authority.length) + (parameters.length > 0 ? `?${parameters.join('&')}` : '');
  const before = at < 0 ? '' : `${userinfo}@`;
  return { ...spec, url: `${scheme}${before}${authority.slice(at + 1)}${tail}` };
}

/** Reads a database by its settings, as text, without its password. */
export function specFromSettings(document: DatabaseDocument, reader: Reader): EndpointSpec {
  const settings: Record<string, string> = {};
  for (const [name, value] of Object.entries(document)) {
    checkReferences(String(value), reader, [...reader.path, name]);
    if (name !== 'password') settings[name] = String(value);
  }
  if (document.password === undefined || document.password === '') return { settings };
  const kept = keepSecret(document.password, reader, [...reader.path, 'password']);
  if (kept === undefined) return { settings, passwordVariable: reader.variable };
  return { settings: { ...settings, password: kept } };
}
