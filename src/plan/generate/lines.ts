import { stringify } from 'yaml';

/** Where the lines of a generated plan end, as far as names allow. */
const width = 100;

// What could end a comment's line, or turn round what follows it.
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu;

/** Text from a catalog, safe in a comment. */
export const visible = (text: string): string =>
  text.replace(unprintable, (char) => `\\u${char.codePointAt(0)!.toString(16).padStart(4, '0')}`);

/** A text as YAML on one line, as a key too: in quotes only where it must be. */
export function scalar(text: string): string {
  // What the writer leaves plain: control characters that break a line elsewhere, and the merge key.
  if (text === '<<' || text.search(unprintable) >= 0) return JSON.stringify(text);
  return stringify(text, { blockQuote: false, lineWidth: 0 }).trimEnd();
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of visible(text).split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) lines[lines.length - 1] += ` ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** A comment of its own, on as many lines as it takes. */
export const comment = (text: string, indent = 0): string[] =>
  wrap(text, width - indent - 2).map((line) => `${' '.repeat(indent)}# ${line}`);

/** A line of the plan, and what is said behind it. */
export interface Entry {
  text: string;
  notes: string[];
  /** Lines that belong to it, below. */
  below?: string[];
}

const widest = 46;

/** Lines with their comments in one column; a comment that does not fit goes on below itself. */
export function aligned(entries: Entry[]): string[] {
  const lengths = entries.map(({ text }) => text.length).filter((length) => length <= widest);
  const column = Math.max(0, ...lengths) + 2;
  const gap = ' '.repeat(column);
  return entries.flatMap(({ text, notes, below = [] }) => {
    if (notes.length === 0) return [text, ...below];
    const comments = wrap(notes.join('; '), width - column - 2).map((line) => `# ${line}`);
    const beside = text.length + 2 <= column;
    const [first, rest] = beside
      ? [`${text.padEnd(column)}${comments[0]}`, comments.slice(1)]
      : [text, comments];
    return [first, ...rest.map((line) => gap + line), ...below];
  });
}

/** `key:` with a decision to be made under it. */
export function gapEntry(key: string, decide: string, indent: number): Entry {
  const inner = ' '.repeat(indent + 2);
  const reason = wrap(decide, width - indent - 4).map((line) => `  ${line}`);
  const below = ['decide: >-', ...reason].map((line) => inner + line);
  return { text: `${' '.repeat(indent)}${scalar(key)}:`, notes: [], below };
}
