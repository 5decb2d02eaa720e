import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { catalogSnapshot, diffSnapshots } from '../../src/catalog/snapshot.ts';
import { compareDatabases } from '../compare.ts';
import { TestFleet, until } from '../fleet-processes.ts';
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
  const watching = site.start(['migrate', '-c', books, '--attach', '--json']);
  await until('the run has begun', () => watching.output().includes('"type":"started"'));
  for (const kind of ['scheduler', 'loader', 'validator'] as const) fleet.start(kind);
  expect({ code: await watching.exited, err: watching.log() }).toEqual({ code: 0, err: '' });
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
  await site.target.exec('alter table books drop constraint books_title_check');
  expect(await site.run(['resume', '-c', books])).toMatchObject({ code: 0 });
  expect(await compareDatabases(site.source, site.target, ['books'])).toEqual([]);
});
