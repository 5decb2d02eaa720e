import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

/** The dashboard's process and where it serves. */
export interface DemoWeb {
  child: ChildProcess;
  url: string;
}

const preferredPort = 7370;

function firstLine(stream: Readable): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    stream.on('data', (chunk) => {
      text += chunk;
      if (text.includes('\n')) resolve(text);
    });
    stream.once('end', () => resolve(text));
  });
}

/**
 * Starts `rowfleet web` in a process group of its own, on the usual port or, where that is taken, on a free one.
 * Returns once it serves; undefined when it cannot.
 */
export async function startWeb(cli: string, env: Record<string, string>): Promise<DemoWeb | undefined> {
  for (const port of [preferredPort, 0]) {
    const child = spawn(process.execPath, ['--import', 'tsx', cli, 'web', '--json', '--port', String(port)], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    const line = await firstLine(child.stdout);
    child.stdout.destroy(); // It says no more: the pipe would keep this process alive.
    const { url } = line.startsWith('{') ? JSON.parse(line) : {};
    if (url !== undefined) return { child, url };
  }
  return undefined;
}
