import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliSite, createCliSite } from './cli-site.ts';

const key = Buffer.alloc(32, 9).toString('base64');
const withKey = { ROWFLEET_QUARANTINE_KEY: key };

let site: CliSite;
let rows: string;

beforeAll(async () => {
  site = await createCliSite();
  rows = join(site.plan, '..', 'rows.ndjson');
  const text = readFileSync(site.plan, 'utf8');
  writeFileSync(
    site.plan,
    text.replace('parallel_workers: 1', 'parallel_workers: 1, quarantine_limit: {ratio: 1}'),
  );
  await site.source.exec(`
    update books set title = 'over' || id where id in (7, 8);
    update books set price = null where id = 9`);
  const ddl = join(site.plan, '..', 'target.sql');
  writeFileSync(
    ddl,
    `${readFileSync(ddl, 'utf8')}
     alter table books add constraint titled check (title ~ '^book '), alter column price set not null;`,
  );
});

afterAll(() => site.drop());

const quarantine = (args: string[], env: NodeJS.ProcessEnv = withKey) =>
  site.run(['quarantine', ...args, '-c', site.plan], env);

// One story, each chapter on what the last one left: a fleet takes seconds to start.
describe('the command line for a quarantine', { timeout: 180_000 }, () => {
  it('ends 3, and lists why rows were refused, and which', async () => {
    const { code, out } = await site.run(['migrate', '-c', site.plan], withKey);
    expect({ code, out }).toEqual({ code: 3, out: expect.stringContaining('3 rows in quarantine') });
    const list = await quarantine(['list']);
    expect(list).toMatchObject({ code: 0, err: '' });
    expect(list.out).toContain('run 1 of library: 3 held\n');
    expect(list.out).toMatch(/ 2 {2}constraint {2}23514 {5}public\.books · titled\n/);
    expect(list.out).toMatch(/ {3}2 {2}books {2}held {7}id=8 {8}23514 titled\n/);
    // Only a terminal cuts lines.
    expect(list.out).toContain('check violation (SQLSTATE 23514): table public.books, constraint titled\n');
    expect(list.out).not.toContain('…\n');
    const { rows: listed } = JSON.parse((await quarantine(['list', '--json'])).out);
    expect(listed[0]).toMatchObject({ id: '1', sourceKey: { id: '7' } });
    expect(JSON.stringify(listed)).not.toContain('over7');
    const first = await quarantine(['list', '1', '--limit', '1', '--state', 'held']);
    expect(first.out).toContain('… and 2 more rows: rowfleet quarantine list 1 --limit 3');
  });

  it('keeps values from those who have not the key', async () => {
    const list = await quarantine(['list'], {});
    expect(list).toMatchObject({ code: 0, out: expect.stringContaining('(encrypted)') });
    expect(list.out).toContain('ROWFLEET_QUARANTINE_KEY is not set');
    expect((await quarantine(['show', '1'], {})).out).not.toContain('over7');
    const exported = await quarantine(['export', '--out', rows], {});
    expect(exported).toMatchObject({ code: 2, err: expect.stringContaining('[SEAL_KEY_MISSING]') });
  });

  it('shows a row in full, and what to type next', async () => {
    const { code, out } = await quarantine(['show', '1']);
    expect({ code, out }).toMatchObject({ code: 0 });
    expect(out).toMatch(/refused {3}constraint 23514 · titled\n/);
    expect(out).toMatch(/the row in the source\n {4}id = 7\n[\s\S]*title = 'over7'/);
    expect(out).toContain(`rowfleet quarantine retry 1 --run 1 -c ${site.plan}`);
  });

  it('writes rows to a file of one’s own, takes them back edited, and ends 3 while rows are left', async () => {
    const exported = await quarantine(['export', '--out', rows, '--flow', 'books']);
    expect(exported).toMatchObject({ code: 0, out: expect.stringContaining('3 rows in ') });
    expect(statSync(rows).mode & 0o777).toBe(0o600);
    expect(await quarantine(['export', '--out', rows])).toMatchObject({
      ...{ code: 2, err: expect.stringContaining(`${rows} exists`) },
    });
    const lines = readFileSync(rows, 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).source_key)).toEqual([{ id: '7' }, { id: '8' }, { id: '9' }]);
    const edited = JSON.parse(lines[0]!);
    edited.target_rows[0].title = 'book seven';
    writeFileSync(rows, [JSON.stringify(edited), ...lines.slice(1)].join('\n'));
    const other = { ...JSON.parse(lines[1]!), source_key: { id: '31' } };
    writeFileSync(`${rows}.bad`, `${lines[0]}\n${JSON.stringify(other)}\n`);
    const bad = await quarantine(['retry', '--from', `${rows}.bad`]);
    expect(bad).toMatchObject({
      ...{ code: 2, err: expect.stringContaining('rows.ndjson.bad:2: row 2: its source_key ') },
    });
    const { code, out } = await quarantine(['retry', '--from', rows]);
    expect({ code, out }).toMatchObject({ code: 3 });
    expect(out).toContain('run 1: 3 rows sent again, 1 of them as edited');
    expect(out).toContain('finished with 2 rows in quarantine');
    const { rows: seven } = await site.target.query('select title from books where id = 7');
    expect(seven).toEqual([{ title: 'book seven' }]);
    expect((await quarantine(['show', '1'])).out).toContain(
      `rowfleet quarantine retry 1 --run 1 -c ${site.plan} --as-source`,
    );
    expect(await quarantine(['retry', '--all', '--as-source'])).toMatchObject({
      ...{ code: 2, err: expect.stringContaining('--as-source takes back edits of rows named by id') },
    });
  });

  it('says what a mended plan would change, and makes it the next revision of the run', async () => {
    const text = readFileSync(site.plan, 'utf8');
    writeFileSync(site.plan, text.replace('upper(a.name)', 'lower(a.name)'));
    const would = await site.run(['revise', '-c', site.plan, '--dry-run']);
    expect(would).toMatchObject({ code: 0 });
    expect(would.err).toContain('price of public.books is NOT NULL, and 1 of 4,000 rows give it NULL');
    expect(would.out).toMatch(/ column name\n +- upper\(a\.name\)\n +\+ lower\(a\.name\)\n/);
    expect(would.out).toContain('writers: all of it is loaded again');
    expect(would.out).toContain('nothing was written');
    writeFileSync(site.plan, text.replace('batch_size: 500', 'batch_size: 400'));
    const { code, out } = await site.run(['revise', '-c', site.plan]);
    expect({ code, out }).toMatchObject({ code: 0 });
    expect(out).toMatch(/run 1 goes by revision 2 of its plan now\n {2}settings\n {4}batch_size\n/);
    expect((await site.run(['status', '1', '-c', site.plan])).out).toContain('plan.yaml, revision 2');
  });

  it('gives a row up with a reason, still ends 3, and 0 when the last row is in and an edit is taken back', async () => {
    const which = await quarantine(['discard', '--reason', 'why']);
    expect(which).toMatchObject({ code: 2, err: expect.stringContaining('[SELECTION_MISSING]') });
    const { code, out } = await quarantine(['discard', '2', '--reason', 'a test']);
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining('still ends with 3') });
    await site.source.exec(
      `update books set price = 9 where id = 9; update books set title = 'book ' || id where id in (7, 8)`,
    );
    // The target is in the environment: no plan file is needed.
    const last = await site.run(['quarantine', 'retry', '1', '2', '3', '--as-source', '--json'], withKey);
    expect(last.code).toBe(0);
    const types = last.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).type);
    expect(types[0]).toBe('sent');
    expect(types.at(-1)).toBe('result');
    const books = 'select id, author_id, title, price from books order by id';
    expect((await site.target.query(books)).rows).toEqual((await site.source.query(books)).rows);
    const shown = await quarantine(['show', '2']);
    expect(shown.out).toMatch(/discarded: a test\n[\s\S]*sent again\n[\s\S]*loaded as the plan yields it/);
    const history = await quarantine(['list', '--json']);
    expect(JSON.parse(history.out)).toMatchObject({ states: { held: 0, loaded: 3 } });
  });
});
