import { afterEach, expect, it } from 'vitest';
import { compareDatabases } from '../compare.ts';
import { type CliSite, createCliSite } from '../fleet/cli-site.ts';
import { createBarriers, until } from '../fleet-processes.ts';

let site: CliSite;

afterEach(() => site.drop());

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** A run that stands before its first commit; the pids of its command and of the command's fleet. */
async function migrateUntilCommit() {
  site = await createCliSite();
  const barriers = await createBarriers();
  barriers.hold('copy.commit');
  const migrate = site.start(['migrate', '-c', site.plan], { ROWFLEET_BARRIERS: barriers.folder });
  await barriers.reached('copy.commit');
  const { rows } = await site.target.query<{ pid: number }>('select pid from rowfleet.worker');
  expect(rows.length).toBeGreaterThan(1);
  return { migrate, fleet: rows.map(({ pid }) => pid), release: () => barriers.release('copy.commit') };
}

async function expectResumed(): Promise<void> {
  const { code, err } = await site.run(['resume', '-c', site.plan]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(await compareDatabases(site.source, site.target, ['books'])).toEqual([]);
  await site.source.exec('create view writers as select id::bigint, upper(name) as name from authors');
  const writers = 'select id, name from writers order by id';
  expect((await site.target.query(writers)).rows).toEqual((await site.source.query(writers)).rows);
}

it('rowfleet migrate that is killed takes its fleet along, and resume goes on to the same end', async () => {
  const { migrate, fleet, release } = await migrateUntilCommit();
  migrate.kill('SIGKILL');
  await migrate.exited;
  release();
  await until('its fleet has left', () => !fleet.some(isAlive));
  await expectResumed();
});

it('when all is killed at once, a resume in the same moment waits for none of the dead', async () => {
  const { migrate, fleet, release } = await migrateUntilCommit();
  for (const pid of fleet) process.kill(pid, 'SIGKILL');
  migrate.kill('SIGKILL');
  await migrate.exited;
  release();
  await expectResumed();
});
