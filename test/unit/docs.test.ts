import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildProgram } from '../../ops/cli/program.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const runbooks = readdirSync(join(root, 'ops/runbooks')).map((name) => `ops/runbooks/${name}`);
const documents = ['README.md', 'CHANGELOG.md', 'ops/examples/README.md', ...runbooks];

/** Every TypeScript file of the product, as one text. */
const code = ['src', 'jobs', 'workers', 'ops']
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((f) => join(folder, f)),
  )
  .filter((file) => file.endsWith('.ts'))
  .map(read)
  .join('\n');

/** Rows of the first table behind a heading, as their cells. */
function tableBehind(heading: string): string[][] {
  const section = read('README.md').split(`\n## ${heading}\n`)[1]!.split('\n## ')[0]!;
  const rows = section.split('\n').filter((line) => line.startsWith('| '));
  return rows.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const ticked = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);

describe.each(documents)('%s', (document) => {
  test('names commands that exist', async () => {
    const known = new Set((await buildProgram()).commands.map((command) => command.name()));
    const named = [...read(document).matchAll(/(?:\$ |`|^ {2,})rowfleet ([a-z][a-z-]+)/gm)].map(
      (match) => match[1]!,
    );
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });

  test('links to files that are there', () => {
    const links = [...read(document).matchAll(/\]\(([^)#]+)\)/g)].map((match) => match[1]!);
    const local = links.filter((link) => !/^https?:/.test(link));
    expect(local.filter((link) => !existsSync(join(root, dirname(document), link)))).toEqual([]);
  });

  test('names error codes that the code has', () => {
    const shown = /"code":"([A-Z_]+)"|\[([A-Z]+(?:_[A-Z]+)+)\]/g;
    const codes = [...read(document).matchAll(shown)].map((match) => match[1] ?? match[2]!);
    expect(codes.filter((name) => !code.includes(`'${name}'`))).toEqual([]);
  });
});

test('README describes the keys of a plan, all of them and no others', () => {
  const { properties } = JSON.parse(read('src/plan/plan.schema.json'));
  const described = tableBehind("The plan's keys").flatMap((cells) => ticked(cells[0]!));
  const migration = Object.keys(properties.migration.properties).map((key) => `migration.${key}`);
  const top = Object.keys(properties).filter((key) => key !== 'migration');
  const flow = Object.keys(properties.flows.items.properties).map((key) => `flows[].${key}`);
  const settings = Object.keys(properties.source_database.properties);
  const keys = [...top, ...migration, ...flow];
  expect(described.toSorted()).toEqual(keys.toSorted());
  const meaning = tableBehind("The plan's keys").find((cells) =>
    cells[0]!.includes('`source_database`'),
  )![1]!;
  expect(ticked(meaning)).toEqual(settings);
});

test('README names the environment variables that the code reads by name', () => {
  const described = tableBehind('Environment').flatMap((cells) => ticked(cells[0]!));
  const read = new Set([...code.matchAll(/process\.env\.([A-Z_]+)/g)].map((match) => match[1]!));
  // Crash tests stop a process with the first; terminals set the second.
  for (const known of ['ROWFLEET_BARRIERS', 'TERM']) read.delete(known);
  expect(read.size).toBeGreaterThan(3);
  expect([...read].filter((name) => !described.includes(name))).toEqual([]);
});

test('README names environment variables that the code reads', () => {
  const names = tableBehind('Environment').flatMap((cells) => ticked(cells[0]!));
  expect(names.length).toBeGreaterThan(5);
  // Of the passwords the code knows only what follows SOURCE or TARGET.
  const unread = names.filter(
    (name) => !code.includes(name.replace(/^(SOURCE|TARGET)(?=_DATABASE_PASSWORD)/, '')),
  );
  expect(unread).toEqual([]);
});
