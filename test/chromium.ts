import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from './requirements.ts';

const quiet = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-extensions',
  '--window-size=1100,900',
  // The browser has errands of its own; none of them leaves this machine.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
];

/** What a browser made of a page. */
export interface Visit {
  /** The document after its scripts ran. */
  dom: string;
  /** Every address that the page asked for, also those that failed, from Chromium's own network log. */
  requests: string[];
}

interface NetLog {
  constants: { logEventTypes: Record<string, number> };
  events: { type: number; params?: { url?: string; initiator?: string } }[];
}

/**
 * Opens a page in a real, headless Chromium with a fresh profile; `ms` of the browser's own clock are given to scripts
 * that go on after the page was loaded (never to a page that reloads itself: it would not end). `screenshot` is a
 * file to draw the page into, as well.
 */
export async function visit(url: string, options: { ms?: number; screenshot?: string } = {}): Promise<Visit> {
  const profile = await mkdtemp(join(tmpdir(), 'rowfleet-chromium-'));
  const log = join(profile, 'net.json');
  const budget = options.ms === undefined ? [] : [`--virtual-time-budget=${options.ms}`];
  const own = [`--user-data-dir=${profile}`, `--log-net-log=${log}`, ...budget];
  const run = (...more: string[]) =>
    promisify(execFile)(chromium!, [...quiet, ...own, ...more, url], {
      timeout: 60_000,
      maxBuffer: 64 << 20,
    });
  try {
    if (options.screenshot) await run(`--screenshot=${options.screenshot}`);
    const { stdout } = await run('--dump-dom');
    const { constants, events } = JSON.parse(await readFile(log, 'utf8')) as NetLog;
    const { URL_REQUEST_START_JOB } = constants.logEventTypes;
    const { origin } = new URL(url);
    const requests = events
      .filter((event) => event.type === URL_REQUEST_START_JOB && event.params?.initiator === origin)
      .flatMap((event) => event.params?.url ?? []);
    return { dom: stdout, requests: [...new Set(requests)] };
  } finally {
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
