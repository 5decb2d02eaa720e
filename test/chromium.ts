import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
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

/**
 * Opens a page in a headless Chromium and evaluates a script in it, which may return a promise; returns what that
 * comes to. Speaks the browser's own protocol over a pipe.
 */
export async function inPage<T>(url: string, script: string): Promise<T> {
  const profile = await mkdtemp(join(tmpdir(), 'rowfleet-chromium-'));
  const browser = spawn(chromium!, [...quiet, `--user-data-dir=${profile}`, '--remote-debugging-pipe'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise((resolve) => browser.once('close', resolve));
  const [to, from] = browser.stdio.slice(3) as unknown as [Writable, Readable];
  to.on('error', () => {}); // A browser that is gone shows itself in the answer that does not come.
  const waiting = new Map<number, { resolve(result: Answer): void; reject(error: Error): void }>();
  let loaded = () => {};
  const load = new Promise<void>((resolve) => {
    loaded = resolve;
  });
  let text = '';
  from.setEncoding('utf8').on('data', (chunk: string) => {
    const messages = (text + chunk).split('\0');
    text = messages.pop()!;
    for (const { id, method, result, error } of messages.map((message) => JSON.parse(message))) {
      if (method === 'Page.loadEventFired') loaded();
      else if (error) waiting.get(id)?.reject(new Error(error.message));
      else waiting.get(id)?.resolve(result);
    }
  });
  const send = (method: string, params: object, sessionId?: string) =>
    new Promise<Answer>((resolve, reject) => {
      const id = waiting.size + 1;
      waiting.set(id, { resolve, reject });
      to.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  try {
    const { targetId } = await send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
    await send('Page.enable', {}, sessionId);
    await send('Page.navigate', { url }, sessionId);
    await load;
    const evaluated = { expression: script, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await send('Runtime.evaluate', evaluated, sessionId);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  } finally {
    browser.kill('SIGKILL');
    await exited;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

// biome-ignore lint/suspicious/noExplicitAny: as the protocol has it.
type Answer = any;

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
