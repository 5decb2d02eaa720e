import type { InputRow } from '../types.ts';
import type { Decode } from './values.ts';

/**
 * What reads rows from text and writes them is generated, so that each place in it meets one column: rows then have one
 * hidden class, for the plan's function too, no key is looked up by its text, and each type's own code is called where it
 * stands. Names come in as string literals only.
 */

// Written as it is, `__proto__` would not be a key; written so, others make larger objects.
const keyOf = (name: string) => (name === '__proto__' ? '["__proto__"]' : JSON.stringify(name));

/** What a generated reader needs besides the values' own decoders. */
export interface ReaderTools {
  isNull(text: string, from: number, end: number): boolean;
  unescapeField(field: string): string;
  /** Throws: a line has fewer fields than it should. */
  endsEarly(): never;
}

/** Puts the rows of a text, whole lines of COPY, behind `rows`, and what stands before each behind `keys`. */
export type ReadRows = (text: string, rows: InputRow[], keys: (string | null)[][]) => void;

/** Reads rows of these columns in this order, behind `before` columns that are kept as text. */
export function rowReader(names: string[], decoders: Decode[], before: number, tools: ReaderTools): ReadRows {
  const width = before + names.length;
  // Fields are looked for one by one: splitting lines, then fields, takes twice as long.
  const fields = Array.from({ length: width }, (_, i) => {
    const value = i < before ? 'unescapeField(text.slice(at, end))' : `decoder${i - before}(text, at, end)`;
    return `
    end = text.indexOf('${i === width - 1 ? '\\n' : '\\t'}', at);
    if (end === -1) endsEarly();
    const field${i} = isNull(text, at, end) ? null : ${value};
    at = end + 1;`;
  });
  const entries = names.map((name, i) => `${keyOf(name)}: field${before + i}`);
  const key = Array.from({ length: before }, (_, i) => `field${i}`);
  const body = `
  const { isNull, unescapeField, endsEarly } = tools;
  const [${names.map((_, i) => `decoder${i}`).join(', ')}] = decoders;
  return (text, rows, keys) => {
    for (let at = 0, end = 0; at < text.length; ) {${fields.join('')}
      rows.push({ ${entries.join(', ')} });
      ${before > 0 ? `keys.push([${key.join(', ')}]);` : ''}
    }
  };`;
  return new Function('decoders', 'tools', body)(decoders, tools);
}
