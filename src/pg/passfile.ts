import { readFileSync, statSync } from 'node:fs';

interface Login {
  host: string;
  port: number;
  database: string;
  user: string;
}

/** Splits a line of a password file at its colons; a backslash takes the next character as it is. */
function fields(line: string): string[] {
  const found: string[] = [];
  let field = '';
  for (let i = 0; i < line.length; i++) {
    if (line[i] === '\\' && i + 1 < line.length) field += line[++i];
    else if (line[i] === ':' && found.length < 4) {
      found.push(field);
      field = '';
    } else field += line[i];
  }
  return [...found, field];
}

/**
 * The password that a libpq password file (`~/.pgpass`) has for a login. None when the file is missing, or when
 * others may read it: libpq ignores such a file too.
 */
export function passwordFromFile(path: string, login: Login): string | undefined {
  let lines: string[];
  try {
    const { mode } = statSync(path);
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) return undefined;
    lines = readFileSync(path, 'utf8').split(/\r?\n/);
  } catch {
    return undefined;
  }
  // A server reached over its socket is written as localhost.
  const host = login.host.startsWith('/') ? 'localhost' : login.host;
  const wanted = [[login.host, host], [String(login.port)], [login.database], [login.user]];
  for (const line of lines) {
    if (line.startsWith('#')) continue;
    const entry = fields(line);
    const matches = wanted.every((names, i) => entry[i] === '*' || names.includes(entry[i] ?? ''));
    if (entry.length === 5 && matches) return entry[4];
  }
  return undefined;
}
