import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBarriers, until } from '../fleet-processes.ts';
import { type CliSite, createCliSite } from './cli-site.ts';

let site: CliSite;

beforeAll(async () => {
  site = await createCliSite();
});

afterAll(() => site.drop());

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Starts `migrate` and waits until one of its loaders stands before the commit of a batch. */
async function migrateUntilCommit() {
  const barriers = await createBarriers();
  barriers.hold('copy.commit');
  const cli = site.start(['migrate', '-c', site.plan], { ROWFLEET_BARRIERS: barriers.folder });
  await barriers.reached('copy.commit');
  const { rows } = await site.target.query('select pid from rowfleet.worker where stopped_at is null');
  return { cli, pids: rows.map((row): number => row.pid), release: () => barriers.release('copy.commit') };
}

const runState = async (id: number) =>
  (await site.target.query('select state from rowfleet.run where id = $1', [id])).rows[0]?.state;

const booksIndexes = async () =>
  (await site.target.query(`select indexname from pg_indexes where tablename = 'books' order by 1`)).rows;

describe('a run that is interrupted', { timeout: 180_000 }, () => {
  it('ends 130 at Ctrl-C, with its fleet, and says how to go on', async () => {
    const { cli, pids, release } = await migrateUntilCommit();
    expect(pids.length).toBeGreaterThanOrEqual(2);
    cli.kill('SIGINT');
    await until('the run is stopped', async () => (await runState(1)) === 'stopped');
    release();
    expect(await cli.exited).toBe(130);
    expect(cli.output()).toContain(`interrupted: run 1 can be resumed, nothing that was copied is lost`);
    expect(cli.output()).toContain(`rowfleet resume -c ${site.plan} 1`);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it('is only watched by a second resume, which leaves it alone at Ctrl-C, and says who stopped it', async () => {
    const barriers = await createBarriers();
    barriers.hold('copy.commit');
    const first = site.start(['resume', '-c', site.plan], { ROWFLEET_BARRIERS: barriers.folder });
    await barriers.reached('copy.commit');
    const schedulers = `select count(*)::int as n from rowfleet.worker where kind = 'scheduler' and stopped_at is null`;
    const edited = join(dirname(site.plan), 'edited.yaml');
    const mended = readFileSync(site.plan, 'utf8').replace('upper(a.name)', 'lower(a.name)');
    writeFileSync(edited, mended.replace('batch_size: 500', 'batch_size: 600'));
    const second = site.start(['resume', '-c', edited]);
    await until('it watches', () => second.output().includes('run 1  copy') && second);
    second.kill('SIGINT');
    expect(await second.exited).toBe(130);
    expect(second.log()).toBe(
      `note: ${edited} differs from revision 1 of run 1 (writers: column name, batch_size): the run goes on by revision 1; ` +
        `rowfleet revise -c ${edited} 1 makes it go by the file\n`,
    );
    expect(second.output()).toContain('run 1 is running already, with a fleet of its own: watching it');
    expect(second.output()).toContain('no longer watching: run 1 goes on');
    expect((await site.target.query(schedulers)).rows).toEqual([{ n: 1 }]);
    expect(await runState(1)).toBe('running');
    const watcher = site.start(['resume', '-c', site.plan]);
    await until('another one watches', () => watcher.output().includes('run 1  copy') && watcher);
    first.kill('SIGINT');
    await until('the run is stopped', async () => (await runState(1)) === 'stopped');
    barriers.release('copy.commit');
    expect(await first.exited).toBe(130);
    expect([await watcher.exited, watcher.log()]).toEqual([1, '']);
    expect(watcher.output()).toMatch(/run 1 was stopped by \S+@\S+\n/);
    expect(watcher.output()).not.toContain('once the cause is mended');
  });

  it('refuses a second run of the same plan and prints the command that goes on', async () => {
    const { code, err } = await site.run(['migrate', '-c', site.plan]);
    expect(code).toBe(2);
    expect(err).toContain('run 1 of plan "library" is stopped in phase copy [RUN_UNFINISHED]');
    expect(err).toContain(`rowfleet resume -c ${site.plan} 1`);
  });

  it('is resumed to the end, although its only loader is killed on the way', async () => {
    const barriers = await createBarriers();
    barriers.hold('copy.commit');
    const cli = site.start(['resume', '-c', site.plan], { ROWFLEET_BARRIERS: barriers.folder });
    process.kill(await barriers.reached('copy.commit'), 'SIGKILL');
    barriers.release('copy.commit');
    expect([await cli.exited, cli.log()]).toEqual([0, '']);
    expect(cli.output()).toContain('verified: run 1 of library');
    const { rows } = await site.target.query('select count(*)::int as books from books');
    expect(rows).toEqual([{ books: 4000 }]);
    const nothing = await site.run(['resume', '-c', site.plan]);
    expect(nothing).toMatchObject({ code: 2, err: expect.stringContaining('no unfinished run') });
  });

  it('leaves no process behind when it is killed, and is cancelled: the target is as it was', async () => {
    await site.target.exec('truncate books, writers');
    const before = await booksIndexes();
    const { cli, pids, release } = await migrateUntilCommit();
    expect(await booksIndexes()).not.toEqual(before);
    cli.kill('SIGKILL');
    await cli.exited;
    release();
    await until('the fleet has ended', () => pids.every((pid) => !isAlive(pid)), 30);
    expect(await runState(2)).toBe('running');
    const { code, out } = await site.run(['cancel', '-c', site.plan]);
    expect({ code, out }).toMatchObject({
      code: 0,
      out: expect.stringContaining('cancelled: run 2 of library'),
    });
    const { rows } = await site.target.query(
      'select (select count(*) from books) + (select count(*) from writers) as n',
    );
    expect(rows).toEqual([{ n: '0' }]);
    expect(await booksIndexes()).toEqual(before);
  });
});
