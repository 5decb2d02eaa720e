import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findRunUser } from '../ops/embedded/run-user.ts';

/** A small disk in memory, for a tablespace. */
export interface SmallDisk {
  /** A folder on it that belongs to the server's user. */
  folder: string;
  grow(megabytes: number): void;
  remove(): void;
}

/** Mounts a disk of so many megabytes. Needs root, and a machine that lets root mount. */
export function mountSmallDisk(megabytes: number): SmallDisk {
  const mount = mkdtempSync(join(tmpdir(), 'rowfleet-disk-'));
  chmodSync(mount, 0o755);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'tmpfs', mount], {
    stdio: 'pipe',
  });
  const folder = join(mount, 'tablespace');
  mkdirSync(folder, { mode: 0o700 });
  const { uid, gid } = findRunUser();
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid);
  return {
    folder,
    grow(size) {
      execFileSync('mount', ['-o', `remount,size=${size}m`, mount], { stdio: 'pipe' });
    },
    remove() {
      execFileSync('umount', ['--lazy', mount], { stdio: 'pipe' });
      rmSync(mount, { recursive: true, force: true });
    },
  };
}

/** Whether this process may mount one. */
export function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  try {
    mountSmallDisk(1).remove();
    return true;
  } catch {
    return false;
  }
}
