import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { runCommandLine } from '../../ops/cli/run.ts';
import { createDatabase, type TestDatabase } from '../postgres.ts';

const require = createRequire(import.meta.url);
const compiler = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');

let source: TestDatabase;
let target: TestDatabase;
let folder: string;

const planText = `source: \${SOURCE_DATABASE_URL}
target: \${TARGET_DATABASE_URL}
schema: [target.sql]
flows:
  - name: my chunks.v2
    from: chunks c
    to: unified
    transform: {file: t.ts, constants: {model: tiny, sizes: [1, 2], on: true}}
    columns: {id: c.id, body: c.body, doc: c.doc, raw: c.raw, price: c.price, "odd key": c.price}
  - name: my chunks-v2
    from: chunks c
    to: vectors
    transform: {file: t.ts#embed, chunk: 256}
    columns: {id: c.id, body: c.body}
`;

/** A transform that keeps to the types, with something put in place of one of its parts. */
const transform = (part = '', by = '') =>
  `import type { MyChunksV2Transform, MyChunksV2_2Transform } from './types.ts';
const chunk: MyChunksV2Transform = (row, { constants, signal }) => {
  if (row.body === null) return null;
  const size: number = constants.sizes[0] ?? 0;
  return [{ id: row.id * 2n, title: row.body.slice(size), doc: { model: constants.model, was: row.doc } }];
};
export default chunk;
export const embed: MyChunksV2_2Transform = async (rows) =>
  rows.map(({ id, body }) => ({ id: Number(id), vector: [body?.length ?? null], at: new Date(0), price: '1.0' }));
`.replace(part, by);

beforeAll(async () => {
  [source, target] = [await createDatabase(18), await createDatabase(18)];
  await source.exec(
    'create table chunks (id bigint primary key, body text, doc jsonb, raw bytea not null, price numeric(12,2) not null)',
  );
  folder = mkdtempSync(join(tmpdir(), 'rowfleet-types-'));
  writeFileSync(join(folder, 'plan.yaml'), planText);
  writeFileSync(
    join(folder, 'target.sql'),
    `create table unified (id bigint primary key, title text not null, doc json, made timestamptz not null default now());
     alter table unified drop column made;
     create table vectors (id int primary key, vector real[] not null, at timestamptz, price numeric)`,
  );
});

afterAll(async () => {
  await source.drop();
  await target.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** What the compiler says of each of the files. */
async function compile(files: Record<string, string>): Promise<string[]> {
  const names = Object.keys(files);
  for (const name of names) writeFileSync(join(folder, name), files[name]!);
  const flags = [
    '--noEmit',
    '--strict',
    '--target',
    'es2023',
    '--module',
    'nodenext',
    '--allowImportingTsExtensions',
  ];
  const types = [
    '--types',
    'node',
    '--typeRoots',
    join(dirname(require.resolve('@types/node/package.json')), '..'),
  ];
  const command = [compiler, ...flags, '--skipLibCheck', ...types, ...names];
  const said: string = await promisify(execFile)(process.execPath, command, { cwd: folder }).then(
    ({ stdout }) => stdout,
    ({ stdout }) => stdout,
  );
  return names.map((name) =>
    said
      .split(/^(?=\S)/m)
      .filter((text) => text.startsWith(`${name}(`))
      .join(''),
  );
}

/** What is put in place of a part of the transform, and what is said of that. */
const mistakes = [
  ['row.id * 2n', 'row.id * 2', "Operator '*' cannot be applied"],
  ['title: row.body', 'titel: row.body', "Property 'title' is missing"],
  ['if (row.body === null) return null;', '', "'row.body' is possibly 'null'"],
  ['constants.model', 'constants.modell', "Property 'modell' does not exist"],
  ["price: '1.0'", 'price: 1', "Type 'number' is not assignable to type 'string"],
  ['rows.map', 'rows[0]!.body && rows.map', 'is not assignable'],
] as const;

test('rowfleet types writes what the compiler holds a transform to; the target’s schema need not be there', async () => {
  vi.stubEnv('SOURCE_DATABASE_URL', source.url);
  vi.stubEnv('TARGET_DATABASE_URL', target.url);
  const before = process.exitCode;
  await runCommandLine([
    'node',
    'rowfleet',
    'types',
    '-c',
    join(folder, 'plan.yaml'),
    '-o',
    join(folder, 'types.ts'),
  ]);
  vi.unstubAllEnvs();
  expect(process.exitCode).toBe(0);
  process.exitCode = before;
  expect((await target.query("select to_regclass('public.unified') as t")).rows[0]!.t).toBe(null);
  const text = readFileSync(join(folder, 'types.ts'), 'utf8');
  expect(text).toContain(`export interface MyChunksV2Input {
  /** bigint */
  id: bigint;
  /** text */
  body: string | null;
  /** jsonb */
  doc: Json;
  /** bytea */
  raw: Uint8Array;
  /** numeric(12,2) */
  price: string;
  /** numeric(12,2) */
  "odd key": string;
}`);
  expect(text).toContain('  title: string;\n  /** json */\n  doc?: Json;\n}');
  expect(text).toContain('readonly sizes: ReadonlyArray<number>; readonly on: boolean }');
  expect(text).toContain('vector: (number | null)[];');
  const wrong = mistakes.map(([part, by], i) => [`wrong-${i}.ts`, transform(part, by)]);
  const [good, ...complaints] = await compile({ 't.ts': transform(), ...Object.fromEntries(wrong) });
  expect(good).toBe('');
  for (const [i, [part, , complaint]] of mistakes.entries()) expect(complaints[i], part).toContain(complaint);
});
