import { usageError } from '../errors.ts';
import type { Parameters } from './parameters.ts';

const pair = /\s*([A-Za-z_]+)\s*=\s*('(?:[^'\\]|\\[\s\S])*'|(?:[^\s'\\]|\\[\s\S])*)(?=\s|$)/y;

/** Takes libpq's keyword/value form apart: `host=db.example.org dbname=old password='a b'`. */
export function parseConninfo(text: string): Parameters {
  const parameters: Parameters = {};
  const end = text.trimEnd().length;
  for (pair.lastIndex = 0; pair.lastIndex < end; ) {
    const found = pair.exec(text);
    // Never says what stands there: it may be a password.
    if (!found)
      throw usageError(
        'CONNECTION_URL',
        'the connection settings are malformed',
        "They look like host=db.example.org dbname=old user=reader, with '…' around values with blanks; or write a URL.",
      );
    const [, name, value] = found as unknown as [string, string, string];
    const bare = value.startsWith("'") ? value.slice(1, -1) : value;
    parameters[name] = bare.replace(/\\([\s\S])/g, '$1');
  }
  return parameters;
}
