import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestDatabase } from '../postgres.ts';

export const examplesFolder = join(import.meta.dirname, '..', '..', 'ops', 'examples');

/** The names of all examples. */
export const exampleNames = readdirSync(examplesFolder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

/** Two queries that must give the same rows, in any order. */
export interface Comparison {
  name: string;
  /** Runs on the source, before the run. */
  expected: string;
  /** Runs on the target, after it. */
  actual: string;
}

export const fileOf = (example: string, file: string): string => join(examplesFolder, example, file);
export const readExample = (example: string, file: string): string =>
  readFileSync(fileOf(example, file), 'utf8');

/**
 * Reads expected.sql: behind `-- expected: name` stands a SELECT over the source, behind `-- actual: name` one over the
 * target, which defaults to all columns of the target's table of that name.
 */
export function readComparisons(example: string): Comparison[] {
  const [, ...blocks] = readExample(example, 'expected.sql').split(/^-- (?=(?:expected|actual): )/m);
  const comparisons = new Map<string, Comparison>();
  for (const block of blocks) {
    const [, side, name, sql] = /^(expected|actual): (.+)\n([\s\S]+)$/.exec(block)!;
    const [query] = sql!.split(/;$/m) as [string];
    if (side === 'actual') comparisons.get(name!)!.actual = query;
    else comparisons.set(name!, { name: name!, expected: query, actual: `select * from "${name}"` });
  }
  return [...comparisons.values()];
}

/** How often each row is there, by its text; NULL and '' differ in it. */
export async function rowsOf(database: TestDatabase, query: string): Promise<Map<string, number>> {
  const { rows } = await database.query<{ row: string; n: number }>(
    `select t::text as row, count(*)::int as n from (${query}\n) t group by 1`,
  );
  return new Map(rows.map(({ row, n }) => [row, n]));
}

/** What differs, in words: at most five rows of each side. Empty when nothing does. */
export function differences(
  name: string,
  expected: Map<string, number>,
  actual: Map<string, number>,
): string[] {
  const surplus = (left: Map<string, number>, right: Map<string, number>, what: string) => {
    const more = [...left].filter(([row, n]) => n > (right.get(row) ?? 0));
    const shown = more.slice(0, 5).map(([row, n]) => `  ${n - (right.get(row) ?? 0)} × ${row.slice(0, 300)}`);
    return more.length === 0 ? [] : [`${name}: ${more.length} different rows ${what}`, ...shown];
  };
  return [
    ...surplus(expected, actual, 'are missing in the target'),
    ...surplus(actual, expected, 'should not be there'),
  ];
}
