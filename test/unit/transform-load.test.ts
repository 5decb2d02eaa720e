import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RowfleetError } from '../../src/errors.ts';
import { loadTransform } from '../../src/transform/load.ts';

let outside: string;
let folder: string;

beforeEach(() => {
  outside = mkdtempSync(join(tmpdir(), 'rowfleet-transform-'));
  folder = join(outside, 'plan');
});

afterEach(() => rmSync(outside, { recursive: true, force: true }));

/** Writes files below the plan's folder. */
function write(files: Record<string, string>, into = folder): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(into, name)), { recursive: true });
    writeFileSync(join(into, name), text);
  }
}

const load = (file: string, name = 'default', hash?: string, from = folder) =>
  loadTransform(from, { file, export: name, ...(hash === undefined ? {} : { hash }) });

/** Code, message and hint of what loading threw. */
async function refusal(file: string, name?: string, hash?: string): Promise<string> {
  const error = (await load(file, name, hash).catch((thrown) => thrown)) as RowfleetError;
  return `${error.code} ${error.message} | ${error.hint ?? ''}`;
}

const call = async (file: string, name?: string) => (await load(file, name)).call({ a: 1 }, {} as never);

describe('code below the plan’s folder is loaded', () => {
  test('TypeScript with imports, without a package.json', async () => {
    write({
      't/a.ts': `import { twice } from './b.ts';\nimport type { Gone } from './gone.ts';\nimport data from './d.json';
        enum Kind { One }\nexport default (row: Gone) => ({ a: twice(row.a), kind: Kind[0], d: data.d });
        export const named = async (row: { a: number }) => import.meta.url.split('/').at(-1);`,
      't/b.ts': 'await 0; export const twice = (n: number): number => 2 * n;',
      't/d.json': '{"d": 5}',
    });
    expect(await call('t/a.ts')).toEqual({ a: 2, kind: 'One', d: 5 });
    expect(await call('t/a.ts', 'named')).toBe('a.ts');
  });

  test('JavaScript of both kinds, whatever package.json says', async () => {
    write({
      'package.json': '{"type": "commonjs"}',
      'a.js': 'export default (row) => row.a + 1',
      'b.mjs': 'export function inc(row) { return row.a + 2 }',
      'c.cjs': 'module.exports = (row) => row.a + 3',
      'd.cjs': 'exports.inc = (row) => row.a + 4',
    });
    const results = [
      await call('a.js'),
      await call('b.mjs', 'inc'),
      await call('c.cjs'),
      await call('d.cjs', 'inc'),
    ];
    expect(results).toEqual([2, 3, 4, 5]);
  });

  test('packages, from where Node would take them', async () => {
    write({
      'node_modules/inc/package.json':
        '{"name": "inc", "version": "1.2.3", "type": "module", "exports": {"import": "./i.js", "module": "./no.js"}}',
      'node_modules/inc/i.js': 'export const inc = (n) => n + 1; export const place = import.meta.url;',
      'a.ts': `import { basename } from 'node:path'; import { inc, place } from 'inc';
        export default (row) => [inc(row.a), basename(place)];`,
    });
    expect(await call('a.ts')).toEqual([2, 'i.js']);
  });

  test('each time anew', async () => {
    write({ 'a.ts': 'let calls = 0; export default () => ++calls;' });
    expect([await call('a.ts'), await call('a.ts')]).toEqual([1, 1]);
  });
});

describe('what a plan may not name is refused with the reason', () => {
  beforeEach(() => {
    write({ 'a.ts': 'export default 1', 't/x.txt': '' });
    write({ 'out.ts': 'export default () => 1' }, outside);
  });

  test.each([
    ['../out.ts', 'leads upwards with ..'],
    ['t/../a.ts', 'leads upwards with ..'],
    ['/etc/x.ts', 'is an absolute path'],
    ['file:///etc/x.ts', 'is a URL'],
    ['https://example.com/x.ts', 'is a URL'],
    ['data:text/javascript,1', 'is a URL'],
    ['missing.ts', 'does not exist: it is looked for at '],
    ['t/x.txt', 'is neither .ts nor .js'],
    ['t', 'is neither .ts nor .js'],
    ['\0.ts', 'is no path'],
  ])('%s', async (file, reason) => {
    expect(await refusal(file)).toMatch(/^TRANSFORM_FILE the transform /);
    expect(await refusal(file)).toContain(reason);
  });

  test('links that lead out, of the file and of a folder on the way', async () => {
    symlinkSync(join(outside, 'out.ts'), join(folder, 'link.ts'));
    symlinkSync(outside, join(folder, 'up'));
    expect(await refusal('link.ts')).toContain('is a link that leads out of the folder');
    expect(await refusal('up/out.ts')).toContain('is a link that leads out of the folder');
    symlinkSync(join(folder, 'good.ts'), join(folder, 'inner.ts'));
    write({ 'good.ts': 'export default () => 1' });
    expect(await call('inner.ts')).toBe(1);
  });

  test.each([
    ['../out.ts', 'is not below the folder of the plan'],
    ['./up/out.ts', 'is not below the folder of the plan'],
    ['https://example.com/x.ts', 'is a URL'],
    ['not-installed', 'Could not resolve "not-installed"'],
  ])('an import of %s', async (what, reason) => {
    symlinkSync(outside, join(folder, 'up'));
    write({ 'b.ts': `\nimport x from '${what}'; export default x;` });
    expect(await refusal('b.ts')).toMatch(/^TRANSFORM_CODE the transform b.ts does not compile: b.ts:2:15: /);
    expect(await refusal('b.ts')).toContain(reason);
  });
});

describe('what is wrong with the code is told with its place', () => {
  test.each([
    ['const x: = 1;', 'default', 'does not compile: t/a.ts:1:10: Unexpected "="'],
    [
      'import { b } from "./b.ts"; export default b;',
      'default',
      'does not compile: t/b.ts:2:8: Unexpected "b"',
    ],
    ['export const other = () => 1;', 'default', 'has no default export | Did you mean t/a.ts#other?'],
    ['export function chunks() {}', 'chunk', 'has no export chunk | Did you mean t/a.ts#chunks?'],
    ['export default { a: 1 };', 'default', 'has no default export'],
    [
      'export const x = 1; export default () => 1',
      'x',
      'the export x of t/a.ts is no function | Did you mean t/a.ts?',
    ],
    ['\nthrow new TypeError("at load")', 'default', 'cannot be loaded: at load (t/a.ts:2:7)'],
    ['const pg = require("pg"); export default pg;', 'default', 'pg is required: write an import'],
  ])('%s', async (code, name, expected) => {
    write({ 't/a.ts': code, 't/b.ts': '\nexport b = 1;' });
    expect(await refusal('t/a.ts', name)).toContain(expected);
  });
});

describe('the hash', () => {
  const files = {
    'a.ts': "import { b } from './in/b.ts'; import { inc } from 'inc'; export default () => inc(b);",
    'in/b.ts': 'export const b = 1;',
    'node_modules/inc/package.json': '{"name": "inc", "version": "1.0.0", "main": "i.js"}',
    'node_modules/inc/i.js': 'exports.inc = (n) => n;',
    'other.ts': 'export const unused = 1;',
  };
  const hashOf = async () => (await load('a.ts')).hash;

  test('is the same in another folder, and of other bytes another', async () => {
    write(files);
    const hash = await hashOf();
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    cpSync(folder, join(outside, 'elsewhere'), { recursive: true });
    expect((await load('a.ts', 'default', hash, join(outside, 'elsewhere'))).hash).toBe(hash);
    write({
      'other.ts': '// not imported',
      'node_modules/inc/i.js': 'exports.inc = (n) => n; // its version says',
    });
    expect(await hashOf()).toBe(hash);
    const changes = {
      'in/b.ts': 'export const b = 1; //',
      'node_modules/inc/package.json': '{"name": "inc", "version": "1.0.1", "main": "i.js"}',
    };
    for (const [file, text] of Object.entries(changes)) {
      write({ ...files, [file]: text });
      expect(await hashOf(), file).not.toBe(hash);
    }
    write(files);
    expect(await hashOf()).toBe(hash);
  });

  test('of code other than the plan was checked with is a typed error', async () => {
    write(files);
    const found = await refusal('a.ts', 'default', '0'.repeat(64));
    expect(found).toMatch(
      /^TRANSFORM_DIFFERS the transform a.ts in .* is not the code that the plan was checked with/,
    );
  });
});
