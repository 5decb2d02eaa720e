import { readFileSync, type Stats, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { usageError } from '../../src/errors.ts';

/** Whom the server runs as; empty for "as ourselves". */
export interface RunUser {
  uid?: number;
  gid?: number;
}

/** PostgreSQL refuses to run as root: then it is `postgres`, or `nobody` where there is no such user. */
export function findRunUser(): RunUser {
  if (process.getuid?.() !== 0) return {};
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const entry = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (!entry) {
    throw usageError(
      'EMBEDDED_ROOT',
      'PostgreSQL does not run as root, and there is neither a user postgres nor nobody to run it as',
      'Run this as another user, or create one: useradd --system postgres',
    );
  }
  return { uid: Number(entry[2]), gid: Number(entry[3]) };
}

function mayEnter(folder: Stats, user: Required<RunUser>): boolean {
  if (folder.uid === user.uid) return (folder.mode & 0o100) !== 0;
  if (folder.gid === user.gid) return (folder.mode & 0o010) !== 0;
  return (folder.mode & 0o001) !== 0;
}

/** The folder on the way to `path` that `user` may not enter; undefined when the way is open. */
export function closedFolder(path: string, user: RunUser): string | undefined {
  const { uid, gid } = user;
  if (uid === undefined || gid === undefined) return undefined;
  for (let folder = dirname(resolve(path)); ; folder = dirname(folder)) {
    const stats = statSync(folder, { throwIfNoEntry: false });
    if (stats && !mayEnter(stats, { uid, gid })) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}

/**
 * Throws when `user` cannot reach `path`, naming the folder that is in the way. Checked before the server
 * starts, because a spawn that meets EACCES is reported too late and too vaguely to explain.
 */
export function assertReachable(path: string, user: RunUser): void {
  const folder = closedFolder(path, user);
  if (folder === undefined) return;
  throw usageError(
    'EMBEDDED_UNREACHABLE',
    `the PostgreSQL server runs as user id ${user.uid} and cannot reach ${path}: ${folder} is closed to it`,
    `Allow others to enter it (chmod o+x ${folder}), run this as another user than root, or work in another folder.`,
  );
}
