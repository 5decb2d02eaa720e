import stringWidth from 'string-width';

const graphemes = new Intl.Segmenter();

/**
 * Text from a database or an error, safe for a terminal: control characters, which could move the cursor or
 * break a line, become visible; so do the marks that reverse the direction of what follows.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (char) => {
    if (char === '\n') return '⏎';
    if (char === '\t') return '⇥';
    return `\\u${char.codePointAt(0)!.toString(16).padStart(4, '0')}`;
  });
}

/** Columns that the text takes in a terminal. */
export const widthOf = (text: string): number => stringWidth(text);

/** The text in at most `columns` columns; what had to be cut ends in `…`. */
export function shorten(text: string, columns: number): string {
  if (columns <= 0) return '';
  if (widthOf(text) <= columns) return text;
  let kept = '';
  let width = 0;
  for (const { segment } of graphemes.segment(text)) {
    const next = widthOf(segment);
    if (width + next > columns - 1) break;
    kept += segment;
    width += next;
  }
  return `${kept}…`;
}

/**
 * A line as several, each in at most `columns` columns where its words allow it; all but the first are set in behind
 * where the first begins.
 */
export function wrap(line: string, columns: number): string[] {
  if (widthOf(line) <= columns) return [line];
  const indent = `${/^ */.exec(line)?.[0] ?? ''}    `;
  const lines: string[] = [];
  let current = '';
  for (const word of line.split(/(?<=\S) (?=\S)/)) {
    const next = current === '' ? word : `${current} ${word}`;
    if (current !== '' && widthOf(next) > columns) {
      lines.push(current);
      current = `${indent}${word.trimStart()}`;
    } else current = next;
  }
  return [...lines, current];
}

/** The text in exactly `columns` columns, filled with spaces on the right. */
export function left(text: string, columns: number): string {
  const fitted = shorten(text, columns);
  return fitted + ' '.repeat(Math.max(0, columns - widthOf(fitted)));
}

/** The text in exactly `columns` columns, filled with spaces on the left. */
export function right(text: string, columns: number): string {
  const fitted = shorten(text, columns);
  return ' '.repeat(Math.max(0, columns - widthOf(fitted))) + fitted;
}

/** What to look an error up by: `[42501, give up]`, its code and what was made of it. */
export const codeOf = (error: { code: string; class?: string }): string =>
  error.class === undefined ? `[${error.code}]` : `[${error.code}, ${error.class}]`;
