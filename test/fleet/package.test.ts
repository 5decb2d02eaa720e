import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareDatabases } from '../compare.ts';
import { type FleetSite, siteEnvironment } from '../fleet-processes.ts';
import { createDatabase } from '../postgres.ts';

const root = join(import.meta.dirname, '..', '..');
const { version, name } = createRequire(import.meta.url)(join(root, 'package.json'));
const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');

let folder: string;
let site: FleetSite;

/** Runs a program in the empty project; fails with what it printed. */
async function run(program: string, args: string[], cwd = folder): Promise<string> {
  const env = siteEnvironment(site);
  const { stdout } = await promisify(execFile)(program, args, { cwd, env, maxBuffer: 1 << 26 }).catch(
    (error) => {
      throw new Error(`${program} ${args.join(' ')}: ${error.stdout}${error.stderr}`);
    },
  );
  return stdout;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rowfleet-package-'));
  site = { source: await createDatabase(15), target: await createDatabase(18) };
  await writeFile(join(folder, 'package.json'), '{"name": "empty", "private": true, "type": "module"}');
  const packed = await run('npm', ['pack', '--silent', '--pack-destination', folder], root);
  const tarball = packed.trim().split('\n').at(-1)!;
  const quietly = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
  await run('npm', ['install', ...quietly, `./${tarball}`, '@types/node@20']);
}, 300_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await site.source.drop();
  await site.target.drop();
});

const rowfleet = (...args: string[]) => run('npx', ['--no-install', name, ...args]);

describe('the package, installed elsewhere', { timeout: 180_000 }, () => {
  test('says its version, and prints a plan that is in order', async () => {
    expect((await rowfleet('--version')).trim()).toBe(version);
    const sample = await rowfleet('generate-config');
    expect(sample).toContain('source: ${SOURCE_DATABASE_URL}');
    const schema = /\$schema=(\S+)/.exec(sample)![1]!;
    expect(await run(process.execPath, ['-p', `require('${schema}').$schema`])).toContain('json-schema.org');
  });

  test('migrates a table, and rows through a function in TypeScript', async () => {
    const shape = 'create table item (id int primary key, name text unique);';
    await site.source.exec(`${shape} insert into item select i, 'n' || i from generate_series(1, 3000) i`);
    await site.target.exec(shape);
    await site.target.exec('create table made (id int primary key, name text)');
    // Its folder is none of the command's: the fleet that migrate brings is told where the code is.
    await mkdir(join(folder, 'plans'));
    await writeFile(
      join(folder, 'plans', 'made.ts'),
      'export const made = ({ id, name }: { id: number; name: string }) => ({ id: -id, name: `<${name}>` });',
    );
    await writeFile(
      join(folder, 'plans', 'plan.yaml'),
      `source: \${SOURCE_DATABASE_URL}
target: \${TARGET_DATABASE_URL}
migration: {parallel_workers: 1}
tables: [item]
flows: [{name: made, from: item i, to: made, columns: {id: i.id, name: i.name}, transform: made.ts#made}]
`,
    );
    const lines = (await rowfleet('migrate', '-c', 'plans/plan.yaml', '--json')).trim().split('\n');
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ type: 'result', exitCode: 0 });
    expect(await compareDatabases(site.source, site.target, ['item'])).toEqual([]);
    const made = `select count(*)::int as n from made where name = '<n' || -id || '>'`;
    expect((await site.target.query(made)).rows).toEqual([{ n: 3000 }]);
  });

  test('is a library whose types resolve', async () => {
    await writeFile(
      join(folder, 'use.ts'),
      `import { endpointFromUrl, loadPlan, openLedger, openSession, type ResolvedPlan, resolvePlan, startRun } from 'rowfleet';
       export async function start(file: string): Promise<string> {
         const ledger = openLedger(endpointFromUrl('postgres://localhost/target'));
         const source = await openSession(endpointFromUrl('postgres://localhost/source'), 'test');
         const { plan } = loadPlan(file);
         if (plan === undefined) throw new Error('no plan');
         const { resolved } = await resolvePlan(plan, source, source);
         const known: ResolvedPlan = resolved!;
         const { rows } = await ledger.pool.query<{ id: string }>('select 1 as id');
         // @ts-expect-error: the types are known, so this is wrong.
         const wrong: number = rows[0]!.id;
         return startRun(ledger, { resolved: known, file, kind: 'migrate', actor: String(wrong) });
       }`,
    );
    await run(process.execPath, [
      ...[compiler, '--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--types', 'node'],
      'use.ts',
    ]);
    expect(
      await run(process.execPath, ['-e', `import('rowfleet').then((m) => console.log(typeof m.startRun))`]),
    ).toBe('function\n');
  });
});
