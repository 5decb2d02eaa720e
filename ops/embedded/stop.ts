import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

async function ended(pid: number, seconds: number): Promise<boolean> {
  for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline; await delay(20)) {
    try {
      process.kill(pid, 0);
    } catch {
      return true;
    }
  }
  return false;
}

async function commandLine(pid: number): Promise<string> {
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  const { stdout } = await promisify(execFile)('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => ({
    stdout: '',
  }));
  return stdout;
}

/** PostgreSQL's fast shutdown: sessions end, a checkpoint is written. The immediate one if that takes too long. */
export async function shutDown(pid: number): Promise<void> {
  process.kill(pid, 'SIGINT');
  if (await ended(pid, 30)) return;
  process.kill(pid, 'SIGQUIT');
  await ended(pid, 10);
}

/** Ends the server of a data directory, whoever started it; true when one was running. */
export async function stopServer(dataDir: string): Promise<boolean> {
  const absolute = resolve(dataDir);
  const lines = (await readFile(join(absolute, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  // A pid file can outlive its server, and the number can belong to something else by now.
  if (!pid || !(await commandLine(pid)).includes(absolute)) return false;
  await shutDown(pid);
  return true;
}

/** Ends a process with SIGTERM if its command line holds `mark`; true when it did. */
export async function endProcess(pid: number, mark: string): Promise<boolean> {
  if (!pid || !(await commandLine(pid)).includes(mark)) return false;
  process.kill(pid, 'SIGTERM');
  return ended(pid, 10);
}
