import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

const folder = join(import.meta.dirname, '..', '..', 'ops', 'examples');
const read = (...path: string[]) => readFileSync(join(folder, ...path), 'utf8');
const names = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

test.each(names)('%s is whole, and its plan says first what it is for', (name) => {
  const files = readdirSync(join(folder, name));
  expect(files).toEqual(expect.arrayContaining(['expected.sql', 'plan.yaml', 'source.sql', 'target.sql']));
  const text = read(name, 'plan.yaml');
  expect(text).toMatch(/^# .+\n#\n(# .+\n)+name: /);
  const plan = parse(text);
  expect(plan.name).toBe(name);
  expect(plan.target).toBe('${TARGET_DATABASE_URL}');
});

/** Every key of a YAML document, at any depth. */
function keysOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = Array.isArray(value) ? [] : Object.keys(value);
  return [...own, ...Object.values(value).flatMap(keysOf)];
}

test('the table of the README lists the examples that there are, with keys that their plans use', () => {
  const rows = read('README.md')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2)
    .map((line) => line.split('|').map((cell) => cell.trim()));
  expect(rows.map(([, , link]) => link).toSorted()).toEqual(
    names.map((name) => `[${name}](${name}/plan.yaml)`).toSorted(),
  );
  for (const [, , link, keys] of rows) {
    const used = keysOf(parse(read(/\((.+)\)/.exec(link!)![1]!)));
    const named = [...keys!.matchAll(/`(\w+)`/g)].map((match) => match[1]!);
    expect(
      named.filter((key) => !used.includes(key)),
      link,
    ).toEqual([]);
  }
});
