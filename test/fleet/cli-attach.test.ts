import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { catalogSnapshot, diffSnapshots } from '../../src/catalog/snapshot.ts';
import { compareDatabases } from '../compare.ts';
import { TestFleet, until } from '../fleet-processes.ts';
import { startTcpProxy } from '../tcp-proxy.ts';
import { type CliSite, createCliSite } from './cli-site.ts';

let site: CliSite;
let fleet: TestFleet;

beforeEach(async () => {
  site = await createCliSite();
  fleet = new TestFleet(site);
});

afterEach(async () => {
  await fleet.killAll();
  await site.drop();
});

/** A plan beside the site's own. */
function plan(text: string): string {
  const file = join(site.plan, '..', 'other.yaml');
  const databases = 'source: ${SOURCE_DATABASE_URL}\ntarget: ${TARGET_DATABASE_URL}\n';
  writeFileSync(file, databases + text);
  return file;
}

const sessionsOf = async (database: CliSite['target']) => database.open();

it('--attach leaves the work to a fleet that is there, and ends as the run does', async () => {
  await site.target.exec(
    'create table books (id int primary key, author_id int, title text, price numeric(8,2))',
  );
  const books = plan('name: attached\ntables: [books]');
  const proxy = await startTcpProxy(site.target.url);
  const through = { TARGET_DATABASE_URL: proxy.urlOf(site.target.url) };
  const watching = site.start(['migrate', '-c', books, '--attach', '--json'], through);
  await until('the run has begun', () => watching.output().includes('"type":"progress"'));
  const line = site.start(['resume', '-c', books, '--attach'], through);
  await until('another command watches', () => line.output().includes('run 1  prepare'));
  proxy.set('cut');
  const told = new RegExp(`run 1 {2}cannot reach the target \\S+:${proxy.port}/\\S+: trying again\\n`);
  await until('it says that the target is away', () => told.test(line.output()));
  proxy.set('pass');
  await until('it says that it is back', () => line.output().includes('run 1  the target answers again\n'));
  expect(line.output().match(new RegExp(told, 'g'))).toHaveLength(1);
  await until('so does JSON', () => /"type":"unreachable"[\s\S]*"type":"reached"/.test(watching.output()));
  for (const kind of ['scheduler', 'loader', 'validator'] as const) fleet.start(kind);
  expect({ code: await watching.exited, err: watching.log() }).toEqual({ code: 0, err: '' });
  expect(await line.exited).toBe(0);
  await proxy.close();
  expect(await compareDatabases(site.source, site.target, ['books'])).toEqual([]);
  const lines = watching.output().trim().split('\n');
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({
    type: 'result',
    exitCode: 0,
    run: { state: 'verified' },
  });
  // The fleet is not the command's to end.
  expect(fleet.processes.map(({ child }) => child.exitCode)).toEqual([null, null, null]);
});

it('ends 1 with the cause and the command that goes on when rows may not be refused, and writes nothing with --dry-run', async () => {
  const refusing = `create table books (id int primary key, author_id int, title text check (title <> 'book 9'),
    price numeric(8,2))`;
  await site.target.exec(refusing);
  const books = plan(
    'name: refused\nmigration: {parallel_workers: 1, quarantine_limit: {rows: 0}}\ntables: [books]',
  );
  const before = [];
  for (const database of [site.source, site.target])
    before.push(await catalogSnapshot(await sessionsOf(database)));
  expect(await site.run(['migrate', '-c', books, '--dry-run'])).toMatchObject({ code: 0, err: '' });
  for (const [i, database] of [site.source, site.target].entries()) {
    expect(diffSnapshots(before[i]!, await catalogSnapshot(await sessionsOf(database)))).toEqual([]);
    const { rows } = await database.query(`select 1 from pg_namespace where nspname ~ '^rowfleet'`);
    expect(rows).toEqual([]);
  }

  const { code, out } = await site.run(['migrate', '-c', books]);
  expect({ code, out }).toMatchObject({ code: 1, out: expect.stringContaining('check violation') });
  expect(out).toContain('public.books');
  expect(out).toContain(`rowfleet resume -c ${books} 1`);
  expect(out).not.toContain('book 9');
  const logs = (text: string) => /logs of its fleet: (\S+)\s*$/m.exec(text)?.[1] ?? '';
  expect(readdirSync(logs(out))).toContain('scheduler.log');
  expect(out.trimEnd().endsWith(`logs of its fleet: ${logs(out)}`)).toBe(true);
  await site.target.exec('alter table books drop constraint books_title_check');
  const resumed = await site.run(['resume', '-c', books]);
  expect(resumed).toMatchObject({ code: 0 });
  expect(existsSync(logs(resumed.out))).toBe(false);
  expect(resumed.out).not.toMatch(/waiting for a|no loader shows/);
  expect(await compareDatabases(site.source, site.target, ['books'])).toEqual([]);
});
