/** One word of a name without its plural: categories, boxes, addresses, houses; status and glass stay. */
function singular(word: string): string {
  if (/[^aeiou]ies$/.test(word)) return `${word.slice(0, -3)}y`;
  if (/(ss|x|ch|sh)es$/.test(word)) return word.slice(0, -2);
  return /[^sui]s$/.test(word) ? word.slice(0, -1) : word;
}

/** A name as its words alone: `emailAddress`, `Email_Addresses` and `EMAILADDRESS` read the same. Empty without words. */
export function folded(name: string): string {
  const words = name
    .replace(/(\p{Ll}|\p{N})(\p{Lu})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u);
  return words.map(singular).join('');
}

/** What two things are compared by; an empty text is no match. */
type Reading<T> = (each: T) => string;

/** Two that were found to be the same, and under which reading: 0 for the first. */
export interface Pairing<T> {
  source: T;
  target: T;
  reading: number;
}

/** Those that only one of the things has, by their reading. */
function unambiguous<T>(things: Iterable<T>, reading: Reading<T>): Map<string, T> {
  const found = new Map<string, T | undefined>();
  for (const each of things) {
    const text = reading(each);
    if (text !== '') found.set(text, found.has(text) ? undefined : each);
  }
  return new Map([...found].filter((entry): entry is [string, T] => entry[1] !== undefined));
}

/** Pairs what reads the same, by one reading after the other; what is ambiguous under one is left to none. */
export function pairUp<T>(sources: T[], targets: T[], readings: Reading<T>[]): Pairing<T>[] {
  const left = { sources: new Set(sources), targets: new Set(targets) };
  const pairs: Pairing<T>[] = [];
  for (const [i, reading] of readings.entries()) {
    const bySource = unambiguous(left.sources, reading);
    for (const [text, target] of unambiguous(left.targets, reading)) {
      const source = bySource.get(text);
      if (source === undefined) continue;
      pairs.push({ source, target, reading: i });
      left.sources.delete(source);
      left.targets.delete(target);
    }
  }
  return pairs;
}
