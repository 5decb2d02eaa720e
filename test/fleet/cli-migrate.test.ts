import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliSite, createCliSite } from './cli-site.ts';

let site: CliSite;

beforeAll(async () => {
  site = await createCliSite();
});

afterAll(() => site.drop());

const jsonLines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

async function relations(): Promise<string[]> {
  const { rows } = await site.target.query(
    `select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relkind = 'r' order by 1`,
  );
  return rows.map((row) => row.name);
}

// One story, each chapter on what the last one left: a fleet takes seconds to start.
describe('the command line from plan to evidence', { timeout: 180_000 }, () => {
  it('shows with --dry-run what it would do, and writes nothing', async () => {
    const { code, out, err } = await site.run(['migrate', '-c', site.plan, '--dry-run']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('plan library is in order');
    expect(out).toContain('writers: public.authors → public.writers');
    expect(out).toContain('copy "public"."writers" ("id", "name") from stdin');
    expect(out).toMatch(/prepare[\s\S]*drop index "public"\."books_title_idx"/);
    expect(out).toMatch(/found nothing[\s\S]*books_author_fkey/);
    expect(await relations()).toEqual([]);
    const { rows } = await site.target.query(
      `select nspname from pg_namespace where nspname like 'rowfleet%'`,
    );
    expect(rows).toEqual([]);
  });

  it('leaves no run behind when the queue does not answer', async () => {
    const { code, err } = await site.run(['migrate', '-c', site.plan], { QUEUE_URL: 'redis://127.0.0.1:1' });
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('[QUEUE_UNREACHABLE]') });
    expect((await site.run(['status', '-c', site.plan])).out).toContain('no runs yet');
  });

  it('migrates with a fleet of its own, says verified and ends 0', async () => {
    const { code, out, err } = await site.run(['migrate', '-c', site.plan]);
    expect({ code, out, err }).toMatchObject({ code: 0 });
    expect(out).toMatch(/run 1 {2}(prepare|copy|index|verify|constrain|finish) /);
    expect(out).toContain('verified: run 1 of library');
    expect(out).toMatch(/copied {3}4,050 rows, /);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: no terminal, so nothing that moves a cursor.
    expect(out).not.toMatch(/\u001b/);
    const mapped = await site.source.query('select id, upper(name) as name from authors order by id');
    const writers = await site.target.query('select id::int, name from writers order by id');
    expect(writers.rows).toEqual(mapped.rows);
    const books = 'select id, author_id, title, price from books order by id';
    expect((await site.target.query(books)).rows).toEqual((await site.source.query(books)).rows);
  });

  it('shows the runs, and one with its flows, builds, checks and events', async () => {
    const list = await site.run(['status', '-c', site.plan]);
    expect(list).toMatchObject({
      code: 0,
      out: expect.stringMatching(/1 {2}library {2}migrate {2}verified {2}finish/),
    });
    const one = await site.run(['status', '1'], {});
    expect(one.code).toBe(0);
    for (const said of [
      'public.writers',
      'index books_title_idx',
      'digest  public.books  done',
      'phase verify',
    ]) {
      expect(one.out).toContain(said);
    }
    const json = await site.run(['status', '1', '--json']);
    expect(jsonLines(json.out)).toMatchObject([
      { type: 'status', run: { id: '1', state: 'verified' }, findings: [] },
    ]);
    const none = await site.run(['status', '999']);
    expect(none).toMatchObject({ code: 2, err: expect.stringContaining('no run 999') });
  });

  it('refuses a target that holds rows, with the place in the plan', async () => {
    const { code, out } = await site.run(['migrate', '-c', site.plan, '--json']);
    expect(code).toBe(2);
    const { error } = jsonLines(out).at(-1);
    expect(error.code).toBe('PLAN_INVALID');
    expect(error.problems.map((problem: { message: string }) => problem.message)).toEqual([
      'public.books holds rows in the target',
      'public.writers holds rows in the target',
    ]);
  });

  it('validates without copying, finds a changed value, shows it and ends 3', async () => {
    await site.target.exec(`update books set title = 'buch 77' where id = 77`);
    const { code, out } = await site.run(['validate', '-c', site.plan]);
    expect({ code, out }).toMatchObject({ code: 3 });
    expect(out).toContain('finished with findings: run 2 of library');
    expect(out).toContain(`id='77'  title: expected 'book 77', found 'buch 77'`);
    const { rows } = await site.target.query(`select count(*)::int as n from books where title = 'buch 77'`);
    expect(rows).toEqual([{ n: 1 }]);
  });

  it('says what is misspelt, where the schema files make the table that was meant', async () => {
    const other = `${site.plan}.other.yaml`;
    const text = readFileSync(site.plan, 'utf8');
    writeFileSync(other, text.replace('name: library', 'name: other').replace('to: writers', 'to: writer'));
    const { code, err } = await site.run(['migrate', '-c', other, '--dry-run']);
    expect(code).toBe(2);
    expect(err).toMatch(/flows\[0\]\.to: .*writer[\s\S]*Did you mean writers\?/i);
    expect(err).toContain('the schema files were not applied: relation "writers" already exists');
    expect(err).toContain('public.books holds rows in the target');
  });

  it('prints JSON lines that end in the result', async () => {
    await site.target.exec(`update books set title = 'book 77' where id = 77`);
    const { code, out, err } = await site.run(['validate', '-c', site.plan, '--json']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const lines = jsonLines(out);
    expect(lines[0]).toMatchObject({ type: 'started', run: '3' });
    expect(lines.slice(1, -1).map((line) => line.type)).toContain('progress');
    expect(lines.at(-1)).toMatchObject({
      type: 'result',
      exitCode: 0,
      run: { state: 'verified' },
      findings: [],
    });
  });

  it('estimates by what an earlier run of the plan took', async () => {
    const again = `${site.plan}.again.yaml`;
    writeFileSync(again, `${readFileSync(site.plan, 'utf8')}\nallow_non_empty: true\n`);
    const { code, out } = await site.run(['migrate', '-c', again, '--dry-run']);
    expect(code).toBe(0);
    expect(out).toMatch(/run 1 copied 4,050 rows in 0:\d\d and took \d:\d\d in all/);
    expect(out).toMatch(/at its pace: .* to copy, about \d:\d\d in all/);
    expect(out).toContain('may be refused: writers_pkey: its key is in the table already [23505]');
    expect(out).toContain('no undo for public.books: it holds rows already');
  });

  it('leaves nothing of its own behind after uninstall', async () => {
    const { code, out } = await site.run(['uninstall', '-c', site.plan]);
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining('removed rowfleet from ') });
    expect(await relations()).toEqual(['public.books', 'public.writers']);
    const { rows } = await site.target.query(
      `select nspname from pg_namespace where nspname like 'rowfleet%'`,
    );
    expect(rows).toEqual([]);
    const again = await site.run(['uninstall', '-c', site.plan]);
    expect(again).toMatchObject({ code: 0, out: expect.stringContaining('holds nothing of rowfleet') });
  });
});
