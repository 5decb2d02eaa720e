import { chmod, mkdtemp, readdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';

const prefix = 'rowfleet-test-';
const memory = '/dev/shm';

/** Bytes that the databases of a test run take at most, several times over. */
const roomNeeded = 8 * 2 ** 30;

/** A folder without a server in it that is younger may be that of a run which has just begun. */
const startsWithinMs = 600_000;

async function hasRoom(): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(memory);
    return Math.min(bavail * bsize, freemem()) > roomNeeded;
  } catch {
    return false;
  }
}

/** Whether a server runs on one of the data directories in a folder. */
async function isServed(folder: string): Promise<boolean> {
  for (const version of await readdir(folder)) {
    const pidFile = await readFile(join(folder, version, 'postmaster.pid'), 'utf8').catch(() => '');
    try {
      if (pidFile !== '' && process.kill(Number(pidFile.split('\n')[0]), 0)) return true;
    } catch (error) {
      // As root, servers run as another user; who may not ask hears EPERM of one that is there.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') return true;
    }
  }
  return false;
}

/** Removes what one's own test runs that were killed left in memory. */
async function sweep(): Promise<void> {
  for (const name of await readdir(memory)) {
    if (!name.startsWith(prefix)) continue;
    const folder = join(memory, name);
    const { uid, mtimeMs } = await stat(folder);
    const isStale = uid === process.getuid?.() && Date.now() - mtimeMs > startsWithinMs;
    if (isStale && !(await isServed(folder))) await rm(folder, { recursive: true, force: true });
  }
}

/** A new folder for data directories of servers: in memory where there is room, since tests make and drop hundreds of databases. */
export async function makeDataFolder(): Promise<string> {
  const inMemory = await hasRoom();
  if (inMemory) await sweep();
  const folder = await mkdtemp(join(inMemory ? memory : tmpdir(), prefix));
  await chmod(folder, 0o755);
  return folder;
}
